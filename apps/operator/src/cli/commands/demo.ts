import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { described } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { ROOT } from '../settings.ts';

const ATTACKS = ['deny-burst', 'lateral-move', 'plaintext'];

/** `sallyport demo`: the whole product on this machine, with a sample shop. */
export function demoCommand(): Command {
  const demo = described('demo', 'start the demo on this machine, or stop, reset or attack it', 'sallyport demo --detach\nsallyport demo attack deny-burst\nsallyport demo stop')
    .option('--detach', 'return when everything is ready')
    // The tool that prepares the clone (install, generated code, console) before it starts the demo.
    .action(async (options: { detach?: boolean }) => {
      await run('tools/run.mjs', ['demo', ...(options.detach ? ['--detach'] : [])]);
    });
  for (const [name, description] of [['stop', 'end the running demo; its data stays'], ['reset', 'end it and delete its data']] as const) {
    demo.addCommand(described(name, description, `sallyport demo ${name}`).action(() => run('demo/main.ts', [name])));
  }
  demo.addCommand(
    described('attack', 'let the rogue workload act', 'sallyport demo attack lateral-move')
      .argument('<name>', `one of ${ATTACKS.join(', ')}`)
      .option('-n, --namespace <namespace>', 'target of plaintext')
      .action(async (name: string, options: { namespace?: string }) => {
        if (!ATTACKS.includes(name)) throw new CliFailure(EXIT.usage, `there is no attack "${name}"`, `use one of ${ATTACKS.join(', ')}`);
        await run('demo/main.ts', ['attack', name, ...(options.namespace === undefined ? [] : ['--namespace', options.namespace])]);
      }),
  );
  return demo;
}

/** Runs a script of the clone with our terminal. Its exit code becomes ours; what would end us ends it first. */
async function run(script: string, args: readonly string[]): Promise<void> {
  const path = join(ROOT, script);
  if (!existsSync(path)) throw new CliFailure(EXIT.usage, `there is no demo here: ${script} is missing`, 'run it from a clone of the repository');
  const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}
