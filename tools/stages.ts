import { type ChildProcess, spawn } from 'node:child_process';

/** Counts of one stage, and what to show when something in it failed. */
export interface StageResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly output: string;
}

export interface Stage {
  readonly name: string;
  run(): Promise<StageResult>;
}

export interface CommandResult {
  readonly ok: boolean;
  readonly output: string;
}

const COMMAND_MS = 20 * 60_000;
const MAX_OUTPUT = 400_000;
const children = new Set<ChildProcess>();

/** Ends the commands that run now: they are in sessions of their own, so that their own children end with them. */
export function endCommands(): void {
  for (const child of children) if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
}

/** Runs a program to its end and keeps its output. A program that takes too long or cannot be started has failed. */
export async function command(file: string, args: readonly string[], options: { cwd: string; env?: Record<string, string> }): Promise<CommandResult> {
  return await new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, FORCE_COLOR: '0', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    children.add(child);
    let output = '';
    const keep = (chunk: string): void => {
      output = (output + chunk).slice(-MAX_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const limit = setTimeout(() => {
      keep(`\nended after ${COMMAND_MS / 60_000} minutes`);
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, COMMAND_MS);
    const settle = (ok: boolean): void => {
      clearTimeout(limit);
      children.delete(child);
      resolve({ ok, output });
    };
    child.once('error', (error) => {
      keep(error.message);
      settle(false);
    });
    child.once('close', (code) => settle(code === 0));
  });
}

/** A check that counts as one test: it passes when the program ends well. */
export function check(name: string, file: string, args: readonly string[], cwd: string): Stage {
  return {
    name,
    async run() {
      const { ok, output } = await command(file, args, { cwd });
      return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, output };
    },
  };
}

/** One failure with its reason, for a stage that could not even begin. */
export function failure(output: string): StageResult {
  return { passed: 0, failed: 1, skipped: 0, output };
}

/**
 * Runs the stages in order, each printed with its counts and seconds, a failed one with its output.
 *
 * @param interrupted asked before each stage; the stages after an interruption count as failed
 * @returns the sum of all counts
 */
export async function runStages(stages: readonly Stage[], say: (text: string) => void, interrupted: () => boolean): Promise<Omit<StageResult, 'output'>> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const stage of stages) {
    if (interrupted()) {
      total.failed += 1;
      continue;
    }
    const began = Date.now();
    say(`${stage.name} …`);
    const beat = setInterval(() => say(`${stage.name} … still running after ${seconds(began)} s`), 30_000);
    const result = await stage.run().catch((error: unknown) => failure(error instanceof Error ? (error.stack ?? error.message) : String(error)));
    clearInterval(beat);
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped;
    say(`${result.failed > 0 ? 'FAILED' : 'ok'}  ${stage.name}: ${countsLine(result)} (${seconds(began)} s)`);
    if (result.failed > 0) say(indent(result.output));
  }
  return total;
}

/** `N passed, N failed, N skipped`. */
export function countsLine(counts: Omit<StageResult, 'output'>): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(-150)
    .map((line) => `    ${line}`)
    .join('\n');
}
