import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { Demo } from './demo.ts';
import { makePlan } from './plan.ts';
import { ROOT } from './specs.ts';
import { claim, type DemoRecord, hasPartner, prepareState, readRecord, type State, unclaim } from './state.ts';

type Message = { readonly line: string } | { readonly ready: true } | { readonly failed: string };

const started = Date.now();

function stamped(text: string): string {
  return `[${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s] ${text}`;
}

/**
 * Runs the demo in this process until it is told to end. Started by {@link upDetached} it reports to its parent while
 * that listens; else to the terminal.
 *
 * @param wantsPartner with a second trust domain; a demo that had one keeps it
 * @returns the exit code
 */
export async function upHere(state: State, wantsPartner: boolean): Promise<number> {
  const parent = process.send !== undefined;
  const say = (line: string): void => {
    // In the background our own output is a log, and no log may hold the password.
    console.log(parent ? withoutPassword(line, state) : line);
    if (parent && process.connected) process.send?.({ line } satisfies Message);
  };
  claim(state.dir);
  const stopped = endOfDemo();
  let demo: Demo | null = null;
  try {
    demo = new Demo(await makePlan(state, wantsPartner || hasPartner(state), (text) => say(stamped(text))), (text) => say(stamped(text)));
    // The loser of this race is the start, which then fails by itself when what it started is stopped.
    const starting = demo.up();
    starting.catch(() => undefined);
    const first = await Promise.race([starting, stopped]);
    if (first !== 'stop') {
      say(stamped('ready'));
      say(summary(state, parent));
      if (parent && process.connected) process.send?.({ ready: true } satisfies Message);
      await stopped;
    }
    console.log('\nstopping …');
    return 0;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (parent && process.connected) process.send?.({ failed: text } satisfies Message);
    else console.error(`\nThe demo could not be started: ${text}`);
    return 1;
  } finally {
    await demo?.stop();
    unclaim(state.dir);
    if (process.connected) process.disconnect();
    console.log('nothing is left running');
  }
}

/** Settles at the first signal that asks us to end; later ones change nothing, because the end is under way. */
async function endOfDemo(): Promise<'stop'> {
  return await new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('stop'));
  });
}

function withoutPassword(line: string, state: State): string {
  const password = readRecord(state.dir)?.password;
  return password ? line.replaceAll(password, '(see demo.json)') : line;
}

function summary(state: State, detached: boolean): string {
  const record = readRecord(state.dir);
  if (record === null) return '';
  return `
Sallyport is up.

  Console   ${record.consoleUrl}
  Sign in   ${record.username} / ${record.password}

Try
  the graph: who really called whom, and one call that nobody declared
  a policy in the wizard, with what it would have denied
  the step of namespace "orders" to strict: a legacy client is in the way
      ./bin/sallyport strict plan orders
      ./bin/sallyport workload enroll billing/legacy-billing
  an attack:
      ./bin/sallyport demo attack deny-burst      (or lateral-move, plaintext)
  evidence for an auditor:
      ./bin/sallyport evidence export --window 15m -O evidence.zip
${partnerLines(record)}
${detached ? 'End it with npm run demo:stop' : 'Ctrl-C ends it'}; npm run demo:reset also deletes its data. Logs: ${state.logs}
`;
}

function partnerLines({ partner }: DemoRecord): string {
  if (partner === null) return '';
  return `  the trust domain next door, ${partner.trustDomain}: who of it may call, and whom the payments refuse
      ./bin/sallyport graph --server ${partner.apiUrl}      (the same sign-in)
`;
}

/** Starts the demo as a process of its own and returns when it is ready, or with its error. */
export async function upDetached(dir: string, wantsPartner: boolean): Promise<number> {
  const state = prepareState(dir);
  const log = openSync(join(state.logs, 'supervisor.log'), 'a', 0o600);
  const child = spawn(process.execPath, [join(ROOT, 'demo/main.ts'), 'up', '--state', dir, ...(wantsPartner ? ['--federated'] : [])], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGTERM'));
  return await new Promise((resolve) => {
    const leave = (code: number): void => {
      if (child.connected) child.disconnect();
      child.unref();
      resolve(code);
    };
    child.on('message', (message: Message) => {
      if ('line' in message) console.log(message.line);
      else if ('ready' in message) leave(0);
      else console.error(`\nThe demo could not be started: ${message.failed}`);
    });
    child.once('exit', (code) => leave(code ?? 1));
    child.once('error', (error) => {
      console.error(`The demo could not be started: ${error.message}`);
      leave(1);
    });
  });
}
