import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sallyport, scratch } from './test-server.ts';

let folder: string;
beforeEach(() => {
  folder = scratch();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Offline: no address, no sign-in, no state. */
const run = (args: readonly string[], stdin?: string) => sallyport(args, { SALLYPORT_STATE: join(folder, 'state') }, stdin);

const DOCUMENT = (name: string, cases: string, policy = '{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/checkout]}}]}]}') => `
apiVersion: sallyport.dev/v1alpha1
kind: PolicyTest
metadata: {name: ${name}}
spec:
  resources:
  - {apiVersion: sallyport.dev/v1alpha1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: payments}, spec: ${policy}}
  cases:
${cases}`;
const CASE = (name: string, account: string, decision: string) =>
  `  - {name: ${name}, request: {source: {principal: "spiffe://cluster.local/ns/shop/sa/${account}"}, destination: {namespace: payments}}, expect: {decision: ${decision}}}\n`;

const write = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

describe('sallyport test', () => {
  it('exits 0 when every case of every document holds', async () => {
    const file = write('a.yaml', `${DOCUMENT('one', CASE('in', 'checkout', 'ALLOW'))}\n---\n${DOCUMENT('two', CASE('out', 'web', 'DENY'))}`);
    expect(await run(['test', file])).toMatchObject({ code: 0, stdout: '2 passed, 0 failed\n', stderr: '' });
  });

  it('exits 1 when a case fails and says what decided', async () => {
    const file = write('a.yaml', DOCUMENT('one', CASE('in', 'checkout', 'ALLOW') + CASE('wrong', 'web', 'ALLOW')));
    const { code, stdout } = await run(['test', file]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL +one +wrong +ALLOW +DENY +no rule of ALLOW payments\/callers matches/);
    expect(stdout).toMatch(/\n1 passed, 1 failed\n$/);
  });

  it('prints one JSON row a case, also when some fail, for files, directories and standard input', async () => {
    mkdirSync(join(folder, 'policies'));
    const first = write('policies/a.yaml', DOCUMENT('one', CASE('in', 'checkout', 'ALLOW')));
    write('policies/notes.txt', 'not a test');
    const { code, stdout } = await run(['test', join(folder, 'policies'), '-', '-o', 'json'], DOCUMENT('two', CASE('wrong', 'web', 'ALLOW')));
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual([
      { file: first, test: 'one', case: 'in', pass: true, expected: { decision: 'ALLOW' }, actual: { decision: 'ALLOW', status: 200, mtlsMode: 'PERMISSIVE', normalizedPath: '/' }, reason: 'rule 0 of ALLOW policy payments/callers matches' },
      { file: 'standard input', test: 'two', case: 'wrong', pass: false, expected: { decision: 'ALLOW' }, actual: { decision: 'DENY', status: 403, mtlsMode: 'PERMISSIVE', normalizedPath: '/' }, reason: 'no rule of ALLOW payments/callers matches' },
    ]);
  });

  it('writes JUnit with what hostile names hold escaped', async () => {
    const file = write('a.yaml', DOCUMENT('one', CASE('in', 'checkout', 'ALLOW') + CASE('"<&\\u0001>"', 'web', 'ALLOW')));
    const { code, stdout } = await run(['test', file, '-o', 'junit']);
    expect(code).toBe(1);
    expect(stdout).toContain('<testsuites tests="2" failures="1">');
    expect(stdout).toContain('name="&#60;&#38;?&#62;"');
    expect(stdout).toContain('<failure message=');
  });

  it.each([
    ['an unknown field of a case', DOCUMENT('one', '  - {name: a, requst: {}, expect: {decision: ALLOW}}\n'), 'document 1: spec.cases[0]: unknown field "requst"'],
    ['an unknown field of a policy', DOCUMENT('one', CASE('a', 'web', 'DENY'), '{rulez: []}'), 'spec.resources[0] AuthorizationPolicy payments/callers: spec: unknown field "rulez"'],
    ['a bad CIDR', DOCUMENT('one', CASE('a', 'web', 'DENY'), '{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/33"]}}]}]}'), 'ipBlocks[0]: must be an IP address or a CIDR'],
    ['what admission refuses', DOCUMENT('one', CASE('a', 'web', 'DENY'), '{rules: [{to: [{operation: {methods: [get]}}]}]}'), 'methods[0]: must be in upper case'],
    ['another kind', 'apiVersion: sallyport.dev/v1alpha1\nkind: Mesh\nmetadata: {name: a}\nspec: {}\n', 'document 1: kind'],
    ['broken YAML', 'a: [', 'not valid YAML'],
    ['nothing', '', 'holds no PolicyTest'],
    ['an expectation of nothing', DOCUMENT('one', '  - {name: a, expect: {}}\n'), 'must expect something'],
  ])('exits 2 for %s and names the place', async (_, text, message) => {
    const file = write('bad.yaml', text);
    const { code, stderr } = await run(['test', file]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${file}: `);
    expect(stderr).toContain(message);
  });

  it('runs the good documents beside a bad one, and denies where a resource would be refused', async () => {
    const file = write('a.yaml', `${DOCUMENT('good', CASE('in', 'checkout', 'ALLOW'))}\n---\n${DOCUMENT('bad', CASE('in', 'checkout', 'DENY'), '{rules: [{to: [{operation: {methods: [get]}}]}]}')}`);
    const { code, stdout } = await run(['test', file, '-o', 'json']);
    expect(code).toBe(2);
    expect((JSON.parse(stdout) as { pass: boolean; reason: string }[]).map(({ pass, reason }) => [pass, reason.slice(0, 40)])).toEqual([
      [true, 'rule 0 of ALLOW policy payments/callers '], [true, 'a resource would be refused, so nothing '],
    ]);
  });

  it('says that a file is not there', async () => {
    expect(await run(['test', join(folder, 'none.yaml')])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('no such file') as string });
  });
});

describe('sallyport spiffe-id validate', () => {
  it('exits 0 for valid IDs and 1 when one is not, saying which rule it breaks', async () => {
    expect((await run(['spiffe-id', 'validate', 'spiffe://a.b/ns/x/sa/y', 'spiffe://td'])).code).toBe(0);
    const { code, stdout } = await run(['spiffe-id', 'validate', 'spiffe://a.b', 'spiffe://A/x', '-o', 'json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([{ valid: true, trustDomain: 'a.b', problem: null }, { id: 'spiffe://A/x', valid: false, problem: expect.stringContaining('trust domain') as string }]);
  });
});
