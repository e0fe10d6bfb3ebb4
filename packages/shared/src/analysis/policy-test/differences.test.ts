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
  expect(listed).toHaveLength(20);
  // D15 is a field that does not exist, D16 a refusal in both readings; D13 and D14 are refusals in ours.
  const wanted = listed.flatMap((id) => (['d15', 'd16'].includes(id) ? [] : ['d13', 'd14'].includes(id) ? [`${id}-istio`] : [`${id}-istio`, `${id}-sallyport`]));
  expect([...new Set(cases.map(({ test }) => test))].sort()).toEqual(wanted.sort());
});

it.each(['d13', 'd14'])('refuses in our own reading what %s shows', (id) => {
  const document = read('policy-differences.yaml').split('\n---\n').find((text) => text.includes(`{name: ${id}-istio}`));
  const { problems, cases } = runPolicyTests((document ?? '').replace('compatibility: istio', 'compatibility: sallyport'));
  expect(problems).toHaveLength(1);
  expect(cases.every(({ actual }) => actual.decision === 'DENY')).toBe(true);
});
