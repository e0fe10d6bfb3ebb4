// The door of `npm run demo`, `npm test` and the rest: prepares the clone on any Node >= 20, then hands over to the
// pinned Node 24. Plain JavaScript without dependencies, because nothing is installed when it starts.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureConsole, ensureGenerated, ensureInstall, NODE, ROOT, Trouble } from './prepare.mjs';

const COMMANDS = {
  demo: { prepare: [ensureInstall, ensureGenerated, ensureConsole], script: 'demo/main.ts', args: demoArguments },
  'demo:stop': { prepare: [], script: 'demo/main.ts', args: (rest) => ['stop', ...rest] },
  'demo:reset': { prepare: [], script: 'demo/main.ts', args: (rest) => ['reset', ...rest] },
  test: { prepare: [ensureInstall, ensureGenerated, ensureConsole], script: 'tools/check.ts', args: (rest) => rest },
  'test:interop': { prepare: [ensureInstall, ensureGenerated], script: 'tools/interop.ts', args: (rest) => rest },
  'test:spire': { prepare: [ensureInstall, ensureGenerated], script: 'tools/spire/main.ts', args: (rest) => rest },
  'test:soak': { prepare: [ensureInstall], script: 'apps/dataplane/test/soak/main.ts', args: (rest) => rest },
  generate: { prepare: [ensureInstall], script: 'tools/generate.ts', args: (rest) => rest },
  'bench:policy': { prepare: [ensureInstall], script: 'bench/policy/main.ts', args: (rest) => rest },
  'bench:dataplane': { prepare: [ensureInstall], script: 'bench/dataplane/main.ts', args: (rest) => rest },
  'bench:wire': { prepare: [ensureInstall], script: 'bench/wire/main.ts', args: (rest) => rest },
  'bench:pki': { prepare: [ensureInstall], script: 'bench/pki/main.ts', args: (rest) => rest },
  'bench:identity': { prepare: [ensureInstall], script: 'bench/identity/main.ts', args: (rest) => rest },
  'fuzz:pki': { prepare: [ensureInstall], script: 'tools/fuzz-pki.ts', args: (rest) => rest },
  'soak:identity': { prepare: [ensureInstall, ensureGenerated], script: 'bench/soak/main.ts', args: (rest) => rest },
  cli: { prepare: [ensureInstall], script: 'apps/operator/src/cli/main.ts', args: (rest) => rest },
};

/** `npm run demo -- --detach` starts; `npm run demo attack deny-burst` is passed on as it is. */
function demoArguments(rest) {
  return rest[0] === undefined || rest[0].startsWith('-') ? ['up', ...rest] : rest;
}

async function main([name, ...rest]) {
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new Trouble(`unknown command "${name ?? ''}"`, `use one of: ${Object.keys(COMMANDS).join(', ')}`);
  }
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new Trouble(`this is Node ${process.versions.node}, and Sallyport needs 20 or newer`, 'install it from https://nodejs.org');
  }
  if (command.prepare.length === 0 && !existsSync(NODE)) {
    console.log('Nothing was installed in this clone yet, so nothing of it runs.');
    return 0;
  }
  for (const step of command.prepare) await step();
  return await handOver([join(ROOT, command.script), ...command.args(rest)]);
}

/** Runs the script on the pinned Node with our terminal; what would end us is passed on, and its exit code is ours. */
async function handOver(args) {
  const child = spawn(NODE, args, { stdio: 'inherit', cwd: process.cwd() });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Trouble)) throw error;
  console.error(`\nsallyport: ${error.message}\nRemedy: ${error.remedy}`);
  process.exitCode = 1;
}
