import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readPlaywright, readVitest } from './reports.ts';
import { check, countsLine, runStages } from './stages.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'stages-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const node = (name: string, source: string) => check(name, process.execPath, ['-e', source], dir);

test('counts add up, and a failed stage shows what it said', async () => {
  const lines: string[] = [];
  const stages = [node('good', ''), node('bad', 'console.error("the reason"); process.exit(3)')];
  const total = await runStages(stages, (line) => lines.push(line), () => false);
  expect(countsLine(total)).toBe('1 passed, 1 failed, 0 skipped');
  expect(lines.join('\n')).toContain('    the reason');
});

test('a program that is missing is a failure, not a crash', async () => {
  const total = await runStages([check('none', join(dir, 'missing'), [], dir)], () => undefined, () => false);
  expect(total).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('what an interruption left out counts as failed', async () => {
  const total = await runStages([node('never', '')], () => undefined, () => true);
  expect(total).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('vitest: a file that cannot be loaded is a failure', () => {
  const file = join(dir, 'v.json');
  const suite = { name: 'a.test.ts', status: 'failed', message: 'no such module', assertionResults: [] };
  writeFileSync(file, JSON.stringify({ numPassedTests: 4, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1, testResults: [suite] }));
  const result = readVitest(file, { ok: false, output: '' });
  expect(result).toMatchObject({ passed: 4, failed: 1, skipped: 2 });
  expect(result.output).toContain('no such module');
});

test('vitest: a run that fails outside of any test is a failure', () => {
  const file = join(dir, 'v.json');
  writeFileSync(file, JSON.stringify({ numPassedTests: 4, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }));
  expect(readVitest(file, { ok: false, output: 'Unhandled Rejection' }).failed).toBe(1);
  expect(readVitest(file, { ok: true, output: '' }).failed).toBe(0);
});

test('without a report a run has failed', () => {
  expect(readVitest(join(dir, 'none.json'), { ok: true, output: '' }).failed).toBe(1);
  expect(readPlaywright(join(dir, 'none.json'), { ok: true, output: '' }).failed).toBe(1);
});

test('playwright: a flaky journey is a failure', () => {
  const file = join(dir, 'p.json');
  writeFileSync(file, JSON.stringify({ stats: { expected: 2, unexpected: 0, flaky: 1, skipped: 0 } }));
  expect(readPlaywright(file, { ok: true, output: '' })).toMatchObject({ passed: 2, failed: 1 });
});
