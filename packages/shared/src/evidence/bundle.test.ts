import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aFlow, anEvidenceModel, aWorkload, fullCoverage } from '../testing/index.ts';
import { type EvidenceModel, type Files, keyIdOf, packBundle, renderBundle, signBundle, verifyBundle } from './index.ts';

const keys = generateKeyPairSync('ed25519');
const model = anEvidenceModel({ keyId: keyIdOf(keys.publicKey) });
const build = (changes: Partial<EvidenceModel> = {}): Files => signBundle(renderBundle({ ...model, ...changes }), keys.privateKey);
const text = (files: Files, name: string) => Buffer.from(files.get(name) ?? '').toString('utf8');
const problems = (files: Files, key = keys.publicKey) =>
  verifyBundle(files, key).problems.map((problem) => `${problem.kind} ${problem.file}`);

function flip(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

describe('a bundle', () => {
  it('is the same bytes from the same facts, in whatever order the database gave them', () => {
    const { populations, observations } = model;
    const shuffled = build({
      populations: {
        ...populations,
        workloads: populations.workloads.toReversed(),
        edges: populations.edges.toReversed(),
        changes: populations.changes.toReversed(),
      },
      observations: { flows: observations.flows.toReversed(), denies: observations.denies.toReversed() },
      scope: { ...model.scope, namespaces: model.scope.namespaces.toReversed() },
    });
    expect(Buffer.compare(packBundle(build()), packBundle(build()))).toBe(0);
    expect([...shuffled.keys()]).toEqual([...build().keys()]);
    expect(Buffer.compare(packBundle(build()), packBundle(shuffled))).toBe(0);
  });

  it('holds what its manifest lists, and verifies', () => {
    const files = build();
    const manifest = JSON.parse(text(files, 'manifest.json')) as { files: string[]; window: unknown };
    expect([...files.keys()].filter((name) => name !== 'SHA256SUMS' && name !== 'attestation.dsse.json')).toEqual(manifest.files);
    expect(manifest.window).toEqual({ from: '2026-01-15T11:45:00.000Z', to: '2026-01-15T12:00:00.000Z' });
    expect(verifyBundle(files, keys.publicKey)).toEqual({ ok: true, problems: [] });
  });

  it('writes CSV that needs quoting, and no formula a spreadsheet would run', () => {
    expect(text(build(), 'populations/exceptions.csv')).toBe(
      'kind,subject,owner,reason,expires\nplaintext,"old/billing, ""legacy""",ann,"\'=HYPERLINK(""x"")",\n',
    );
  });

  it('leaves annotations and status out of the configuration', () => {
    const [graph] = model.config;
    const secret = Object.assign({}, graph, { metadata: { ...graph?.metadata, annotations: { token: 'hunter2' } } });
    const files = build({ config: [secret] });
    expect(Buffer.from(packBundle(files)).includes('hunter2')).toBe(false);
    expect(text(files, 'config/ExpectedGraph.jsonl')).toContain('"serviceAccount":"web"');
  });

  it('refuses paths that could leave the bundle, and keys of another kind', () => {
    for (const name of ['../x', '/x', 'a//b', 'a/../b', '.hidden', 'a b', 'a"b', 'é']) {
      expect(() => signBundle(new Map([[name, new Uint8Array()]]), keys.privateKey)).toThrow('not a safe path');
    }
    expect(() => signBundle(new Map(), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)).toThrow('Ed25519');
  });
});

describe('verifyBundle', () => {
  it('finds a flipped bit anywhere in any file and names the file', () => {
    const files = build();
    const unseen: string[] = [];
    for (const [name, content] of files) {
      if (name === 'attestation.dsse.json') continue;
      for (let at = 0; at < content.length; at += 1) {
        const found = problems(new Map(files).set(name, flip(content, at, at % 8)));
        if (!found.includes(`changed ${name}`)) unseen.push(`byte ${at} of ${name}`);
      }
    }
    expect(unseen).toEqual([]);
  });

  it('finds every flipped bit of the envelope', () => {
    const files = build();
    const envelope = files.get('attestation.dsse.json') ?? new Uint8Array();
    expect(envelope.length).toBeGreaterThan(500);
    const unseen: number[] = [];
    for (let index = 0; index < envelope.length * 8; index += 1) {
      const found = verifyBundle(new Map(files).set('attestation.dsse.json', flip(envelope, index >> 3, index & 7)), keys.publicKey);
      if (found.problems[0]?.file !== 'attestation.dsse.json') unseen.push(index);
    }
    expect(unseen).toEqual([]);
  });

  it('finds an envelope that says the same in other bytes', () => {
    const files = build();
    const envelope = text(files, 'attestation.dsse.json');
    for (const other of [envelope.trimEnd(), envelope.replace(',', ', '), envelope.replace('{', '{"extra":1,'), 'null', '[]', '{"payload":1}', '']) {
      expect(problems(new Map(files).set('attestation.dsse.json', Buffer.from(other)))).toEqual(['malformed-envelope attestation.dsse.json']);
    }
  });

  it('names what is missing, added, swapped or renamed', () => {
    const files = build();
    const without = (name: string) => new Map([...files].filter(([key]) => key !== name));
    for (const name of files.keys()) expect(problems(without(name))).toEqual([`missing ${name}`]);
    expect(problems(new Map(files).set('extra.txt', Buffer.from('x')))).toEqual(['added extra.txt']);
    const a = files.get('coverage.json') ?? new Uint8Array();
    const b = files.get('queries.json') ?? new Uint8Array();
    expect(problems(new Map(files).set('coverage.json', b).set('queries.json', a))).toEqual(['swapped coverage.json', 'swapped queries.json']);
    expect(problems(without('coverage.json').set('other.json', a))).toEqual(['swapped other.json', 'missing coverage.json']);
    expect(problems(new Map(files).set('../../etc/passwd', Buffer.from('x')))).toEqual(['unsafe-name ../../etc/passwd']);
  });

  it('finds a bundle that was built anew with another key, and a key of another kind', () => {
    const other = generateKeyPairSync('ed25519');
    expect(problems(signBundle(renderBundle(model), other.privateKey))).toEqual(['wrong-key attestation.dsse.json']);
    expect(problems(build(), generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toEqual(['wrong-key attestation.dsse.json']);
    const claimed = Buffer.from(text(signBundle(renderBundle(model), other.privateKey), 'attestation.dsse.json').replace(keyIdOf(other.publicKey), model.keyId));
    expect(problems(new Map(build()).set('attestation.dsse.json', claimed))).toEqual(['bad-signature attestation.dsse.json']);
  });

  it('finds an old envelope over new facts', () => {
    const old = build({ generatorVersion: '0.0.1' });
    expect(problems(new Map(build()).set('attestation.dsse.json', old.get('attestation.dsse.json') ?? new Uint8Array()))).toEqual([
      'changed SHA256SUMS', 'changed manifest.json',
    ]);
  });

  it('finds cut or edited observations even where the signer signed them', () => {
    const observations = text(build(), 'observations.jsonl').trimEnd().split('\n');
    expect(observations).toHaveLength(4);
    const signed = (chain: string[]) =>
      problems(signBundle(new Map(renderBundle(model)).set('observations.jsonl', Buffer.from(chain.map((line) => `${line}\n`).join(''))), keys.privateKey));
    expect(signed(observations)).toEqual([]);
    expect(signed(observations.slice(0, 3))).toEqual(['broken-chain observations.jsonl']);
    expect(signed(observations.toSpliced(1, 1))).toEqual(['broken-chain observations.jsonl']);
    expect(signed(observations.with(0, (observations[0] ?? '').replace('GET', 'PUT')))).toEqual(['broken-chain observations.jsonl']);
    expect(signed(observations.with(3, (observations[3] ?? '').replace('GET', 'PUT')))).toEqual(['broken-chain observations.jsonl']);
  });
});

describe('controls', () => {
  const outcomes = (changes: Partial<EvidenceModel>) =>
    Object.fromEntries(text(build(changes), 'controls.csv').trim().split('\n').slice(1).map((line) => [line.split(',')[0], /,(pass|fail|indeterminate),/.exec(line)?.[1]]));
  const populations = (changes: Partial<EvidenceModel['populations']>) => ({ populations: { ...model.populations, ...changes } });
  const all = { 'SC-8': 'pass', 'AC-3': 'pass', 'AC-4': 'pass', 'IA-9': 'pass', 'SC-17': 'pass', 'SC-12': 'pass', 'AU-12': 'pass', 'CM-3': 'pass' };
  const gap = { ...fullCoverage('node-a'), share: 0.9499 };

  it('pass when everything was shown', () => {
    expect(outcomes({})).toEqual(all);
  });

  it('are indeterminate with too little telemetry, but for what telemetry plays no part in', () => {
    const unsure = Object.fromEntries(Object.keys(all).map((id) => [id, id === 'CM-3' ? 'pass' : 'indeterminate']));
    expect(outcomes({ coverage: gap })).toEqual(unsure);
    expect(outcomes({ coverage: fullCoverage() })).toEqual(unsure);
  });

  it('fail on what was seen, however little was', () => {
    const flows = [...model.observations.flows, aFlow('x/x', 'shop/cart', { source: { principal: null }, mtls: 'plaintext' })];
    expect(outcomes({ observations: { flows, denies: [] }, coverage: gap })['SC-8']).toBe('fail');
    const workload = Object.assign({ mode: 'STRICT', underPolicy: false } as const, aWorkload('shop/web', { serviceAccount: 'default' }));
    expect(outcomes(populations({ workloads: [workload] }))).toMatchObject({ 'AC-3': 'fail', 'IA-9': 'fail' });
    expect(outcomes(populations({ edges: model.populations.edges.map((edge) => Object.assign({}, edge, { state: 'undeclared' })) }))['AC-4']).toBe('fail');
    const late = model.populations.certificates.map((item) => Object.assign({}, item, { state: 'overdue', issuer: 'CN=other' }));
    expect(outcomes(populations({ certificates: late }))).toMatchObject({ 'SC-12': 'fail', 'SC-17': 'fail' });
    expect(outcomes(populations({ changes: model.populations.changes.map((item) => Object.assign({}, item, { previousHash: 'zz' })) }))['CM-3']).toBe('fail');
  });

  it('judge rotation by when the next certificate came, not by the age of those it replaced', () => {
    const [first] = model.populations.certificates;
    const next = (notBefore: string) => Object.assign({}, first, { serial: '99', notBefore, notAfter: '2026-01-17T00:00:00.000Z' });
    const replaced = Object.assign({}, first, { state: 'expired' });
    expect(outcomes(populations({ certificates: [next('2026-01-15T23:00:00.000Z'), replaced] }))['SC-12']).toBe('pass');
    expect(outcomes(populations({ certificates: [next('2026-01-16T01:00:00.000Z'), replaced] }))['SC-12']).toBe('fail');
  });

  it('do not hold refused plaintext against a strict mesh', () => {
    const refused = aFlow('x/x', 'shop/cart', { source: { principal: null }, mtls: 'plaintext', verdict: 'denied', reason: 'plaintext-refused' });
    expect(outcomes({ observations: { flows: [...model.observations.flows, refused], denies: [] } })['SC-8']).toBe('pass');
  });

  it('say nothing where there is nothing', () => {
    const nothing = outcomes({ ...populations({ workloads: [], certificates: [], edges: [] }), observations: { flows: [], denies: [] } });
    expect(Object.entries(nothing).filter(([, outcome]) => outcome === 'pass')).toEqual([['CM-3', 'pass']]);
  });
});
