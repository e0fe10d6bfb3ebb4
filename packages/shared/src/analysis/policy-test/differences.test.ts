import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runPolicyTests } from '../index.ts';

const DOCS = join(import.meta.dirname, '../../../../../docs');
const read = (name: string) => readFileSync(join(DOCS, name), 'utf8');

it('shows every difference that the document lists, in both readings', () => {
  const { cases, problems } = runPolicyTests(read('policy-differences.yaml'));
  expect(problems).toEqual([]);
  expect(cases.filter((each) => !each.pass)).toEqual([]);
  const listed = [...read('policy-differences.md').matchAll(/^\| (D\d+) \|/gm)].map((match) => match[1]?.toLowerCase() ?? '');
  expect(listed).toHaveLength(16);
  const tests = new Set(cases.map(({ test }) => test));
  // D15 is a field that does not exist, D16 a refusal in both readings.
  for (const id of listed.filter((each) => each !== 'd15' && each !== 'd16')) expect(tests, id).toContain(`${id}-istio`);
  const refused = ['d13', 'd14', 'd15', 'd16'];
  for (const id of listed.filter((each) => !refused.includes(each))) expect(tests, id).toContain(`${id}-sallyport`);
});

it.each(['d13', 'd14'])('refuses in our own reading what %s shows', (id) => {
  const [document] = read('policy-differences.yaml').split('\n---\n').filter((text) => text.includes(`{name: ${id}-istio}`));
  const { problems, cases } = runPolicyTests((document ?? '').replace('compatibility: istio', 'compatibility: sallyport'));
  expect(problems).toHaveLength(1);
  expect(cases.every(({ actual }) => actual.decision === 'DENY')).toBe(true);
});
