import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { buildSpire } from './programs.ts';

/** `npm run test:spire [-- -t NAME]`: what we do with a SPIRE server and agent, which are built first where there are none. */
const ROOT = dirname(dirname(import.meta.dirname));
const FILES = ['apps/dataplane/src/workload-client/spire.test.ts', 'apps/operator/src/federation/spire.test.ts'];

const trouble = await buildSpire((text) => console.warn(text));
if (trouble === null) {
  const vitest = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...FILES, ...process.argv.slice(2)];
  const child = spawn(process.execPath, vitest, { cwd: ROOT, stdio: 'inherit' });
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
} else {
  console.error(`sallyport: ${trouble}`);
  process.exitCode = 1;
}
