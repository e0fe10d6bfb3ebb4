import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { type FileResult, runPolicyTests } from '../index.ts';

const SUITES = join(import.meta.dirname, 'suites');
const files = readdirSync(SUITES).filter((name) => name.endsWith('.yaml'));
const read = (name: string) => readFileSync(join(SUITES, name), 'utf8');

/** What is wrong: problems of the file, and cases that fail, by name and reason. */
function wrongs({ cases, problems }: FileResult): object[] {
  if (cases.length === 0) return [{ problem: 'no case was run' }];
  return [...problems, ...cases.filter(({ pass }) => !pass).map((each) => ({ test: each.test, case: each.case, expected: each.expected, actual: each.actual, reason: each.reason }))];
}

it.each(files)('%s holds', (name) => {
  expect(wrongs(runPolicyTests(read(name)))).toEqual([]);
});

it.each(files)('%s holds when every policy has sixty more rules that never match', (name) => {
  const documents = parseAllDocuments(read(name)).map((document) => document.toJS() as Suite);
  for (const { spec } of documents) for (const { kind, spec: policy } of spec.resources ?? []) if (kind === 'AuthorizationPolicy') crowd(policy);
  const text = documents.map((document) => stringify(document, { aliasDuplicateObjects: false })).join('---\n');
  expect(wrongs(runPolicyTests(text))).toEqual([]);
});

it('gives every case of a test its own name', () => {
  for (const name of files) {
    const names = runPolicyTests(read(name)).cases.map((each) => `${each.test}: ${each.case}`);
    expect(names.filter((each, index) => names.indexOf(each) !== index)).toEqual([]);
  }
});

interface Rule {
  readonly to?: unknown;
  readonly when?: unknown;
}
interface Policy {
  readonly action?: string;
  rules?: readonly Rule[];
}
interface Suite {
  readonly spec: { readonly resources?: readonly { readonly kind: string; readonly spec: Policy }[] };
}

/** Rules from nobody, around those of the policy: enough that they are found by index, half of them in the same buckets. */
function crowd(policy: Policy): void {
  const rules = policy.rules ?? [];
  const others = Array.from({ length: 60 }, (_, n) => {
    const source = policy.action === 'CUSTOM' ? { ipBlocks: [`255.255.255.${n}`] } : { principals: [`never/ns/x/sa/n${n}`] };
    const like = rules[n % Math.max(1, rules.length)];
    const same = { ...(like?.to === undefined ? {} : { to: like.to }), ...(like?.when === undefined ? {} : { when: like.when }) };
    return { from: [{ source }], ...(n % 2 === 0 ? { to: [{ operation: elsewhere(n) }] } : same) };
  });
  policy.rules = [...others.slice(0, 30), ...rules, ...others.slice(30)];
}

function elsewhere(n: number): object {
  const operations = [{ paths: [`/never/${n}`] }, { methods: [`N${n}`] }, { hosts: [`never${n}.example`] }, { ports: [String(20_000 + n)] }, { paths: [`/never/${n}/{*}`] }, { paths: [`/never${n}/*`] }];
  return operations[(n / 2) % operations.length] ?? {};
}
