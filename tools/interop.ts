import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `npm run test:interop [-- -t NAME]`: the data plane beside programs that we did not write. Go builds them into its own cache. */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const vitest = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.interop.config.ts', ...process.argv.slice(2)];
const child = spawn(process.execPath, vitest, { cwd: ROOT, stdio: 'inherit' });
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
