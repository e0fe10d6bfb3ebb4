import { existsSync, readFileSync } from 'node:fs';
import { type CommandResult, failure, type StageResult } from './stages.ts';

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; status: string; message?: string; assertionResults: { fullName: string; status: string; failureMessages?: string[] }[] }[];
}

interface PlaywrightReport {
  stats: { expected: number; unexpected: number; flaky: number; skipped: number };
  errors?: { message?: string }[];
}

/**
 * Counts of a vitest run from its JSON report. A file that could not be loaded has no tests to fail and counts as one
 * failure; so does a run that failed without a report or for a reason outside of any test.
 */
export function readVitest(file: string, run: CommandResult): StageResult {
  if (!existsSync(file)) return failure(`vitest left no report\n${run.output}`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  const unloaded = report.testResults.filter((suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'));
  const failed = report.numFailedTests + unloaded.length;
  const words = report.testResults.flatMap((suite) => [
    ...(unloaded.includes(suite) ? [`${suite.name}\n${suite.message ?? ''}`] : []),
    ...suite.assertionResults.filter((test) => test.status === 'failed').map((test) => `${suite.name}\n  ${test.fullName}\n${(test.failureMessages ?? []).join('\n')}`),
  ]);
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && !run.ok ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
    output: words.length === 0 ? run.output : words.join('\n\n'),
  };
}

/** Counts of a Playwright run. A journey that passed only on a second try is a failure: it hides a race. */
export function readPlaywright(file: string, run: CommandResult): StageResult {
  if (!existsSync(file)) return failure(`Playwright left no report\n${run.output}`);
  const { stats, errors } = JSON.parse(readFileSync(file, 'utf8')) as PlaywrightReport;
  const failed = stats.unexpected + stats.flaky;
  const words = (errors ?? []).map((error) => error.message ?? '').join('\n');
  return {
    passed: stats.expected,
    failed: failed === 0 && !run.ok ? 1 : failed,
    skipped: stats.skipped,
    output: `${words}\n${run.output}`.trim(),
  };
}
