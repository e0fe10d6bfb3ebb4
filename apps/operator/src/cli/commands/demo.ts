import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { described, outputOption } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, show } from '../output.ts';
import { ROOT, stateDirectory } from '../settings.ts';

const ATTACKS = ['deny-burst', 'lateral-move', 'plaintext'];

/** `sallyport demo`: the whole product on this machine, with a sample shop. */
export function demoCommand(): Command {
  const demo = described('demo', 'start the demo on this machine, or stop, reset or attack it', 'sallyport demo --detach\nsallyport demo attack deny-burst\nsallyport demo stop')
    .option('--detach', 'return when everything is ready')
    .option('--federated', 'with a second trust domain beside the shop, until a reset')
    .addOption(outputOption())
    .action(start);
  for (const [name, description] of [['stop', 'end the running demo; its data stays'], ['reset', 'end it and delete its data']] as const) {
    const command = described(name, description, `sallyport demo ${name}`).addOption(outputOption());
    demo.addCommand(command.action(async (_options: unknown, self: Command) => end(name, self.optsWithGlobals<{ output: Format }>().output)));
  }
  demo.addCommand(
    described('attack', 'let the rogue workload act', 'sallyport demo attack lateral-move')
      .argument('<name>', `one of ${ATTACKS.join(', ')}`)
      .option('-n, --namespace <namespace>', 'target of plaintext')
      .addOption(outputOption())
      .action(async (name: string, options: { namespace?: string }, self: Command) => attack(name, options.namespace, self.optsWithGlobals<{ output: Format }>().output)),
  );
  return demo;
}

/** Through the tool that prepares the clone (install, generated code, console) before it starts the demo. */
async function start(options: { detach?: boolean; federated?: boolean; output: Format }): Promise<void> {
  if (options.output !== 'table' && !options.detach) throw new CliFailure(EXIT.usage, `-o ${options.output} needs --detach`, 'without it the demo runs until Ctrl-C and has no result');
  const text = await run('tools/run.mjs', ['demo', ...(options.detach ? ['--detach'] : []), ...(options.federated ? ['--federated'] : [])], options.output === 'table' ? 'show' : 'progress');
  if (text === null || options.output === 'table') return;
  const record = JSON.parse(readFileSync(join(stateDirectory(process.env), 'demo.json'), 'utf8')) as Record<string, unknown>;
  show(options.output, record, [], []);
}

async function end(action: 'stop' | 'reset', output: Format): Promise<void> {
  const text = await run('demo/main.ts', [action], output === 'table' ? 'show' : 'progress');
  if (text !== null && output !== 'table') show(output, { action, message: text.trim() }, [], []);
}

async function attack(name: string, namespace: string | undefined, output: Format): Promise<void> {
  if (!ATTACKS.includes(name)) throw new CliFailure(EXIT.usage, `there is no attack "${name}"`, `use one of ${ATTACKS.join(', ')}`);
  const text = await run('demo/main.ts', ['attack', name, '--json', ...(namespace === undefined ? [] : ['--namespace', namespace])], 'keep');
  if (text === null) return;
  const results = JSON.parse(text) as { target: string; outcomes: Record<string, number> }[];
  const outcome = (outcomes: Record<string, number>) => Object.entries(outcomes).map(([what, count]) => `${count} x ${what}`).join(', ');
  show(output, results, ['TARGET', 'OUTCOME'], results.map((result) => [result.target, outcome(result.outcomes)]));
}

/**
 * Runs a script of the clone. What it prints is shown, shown as progress on stderr, or kept for us to render. Its exit
 * code becomes ours; what would end us ends it first.
 *
 * @returns what it printed ('' when shown), or null when it failed
 */
async function run(script: string, args: readonly string[], output: 'show' | 'progress' | 'keep'): Promise<string | null> {
  const path = join(ROOT, script);
  if (!existsSync(path)) throw new CliFailure(EXIT.usage, `there is no demo here: ${script} is missing`, 'run it from a clone of the repository');
  const child = spawn(process.execPath, [path, ...args], { stdio: ['inherit', output === 'show' ? 'inherit' : 'pipe', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (output === 'progress') process.stderr.write(chunk);
  });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
  return process.exitCode === 0 ? text : null;
}
