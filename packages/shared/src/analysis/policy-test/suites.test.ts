import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runPolicyTests } from '../index.ts';

const SUITES = join(import.meta.dirname, 'suites');
const files = readdirSync(SUITES).filter((name) => name.endsWith('.yaml'));

it.each(files)('%s holds', (name) => {
  const { cases, problems } = runPolicyTests(readFileSync(join(SUITES, name), 'utf8'));
  expect(problems).toEqual([]);
  expect(cases.length).toBeGreaterThan(0);
  const failures = cases.filter(({ pass }) => !pass).map((each) => ({ test: each.test, case: each.case, expected: each.expected, actual: each.actual, reason: each.reason }));
  expect(failures).toEqual([]);
});

it('gives every case of a test its own name', () => {
  for (const name of files) {
    const names = runPolicyTests(readFileSync(join(SUITES, name), 'utf8')).cases.map((each) => `${each.test}: ${each.case}`);
    expect(names.filter((each, index) => names.indexOf(each) !== index)).toEqual([]);
  }
});
