import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { buildSpire } from './spire/programs.ts';
import { buildVault } from './vault/vault.ts';

/** `npm run test:spire [-- -t NAME]`, `npm run test:vault`: what we do with issuers of others, which are built first where there are none. */
const ROOT = dirname(import.meta.dirname);
const ISSUERS = {
  spire: { build: buildSpire, files: ['apps/dataplane/src/workload-client/spire.test.ts', 'apps/operator/src/federation/spire.test.ts'] },
  vault: { build: buildVault, files: ['apps/operator/src/ca/parents/vault-real.test.ts'] },
};

async function main([name, ...rest]: readonly string[]): Promise<void> {
  const { build, files } = ISSUERS[name === 'vault' ? 'vault' : 'spire'];
  const trouble = await build((text) => console.warn(text));
  if (trouble !== null) throw new Error(trouble);
  const child = spawn(process.execPath, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...files, ...rest], { cwd: ROOT, stdio: 'inherit' });
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`sallyport: ${(error as Error).message}`);
  process.exitCode = 1;
}
