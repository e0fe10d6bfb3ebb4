import { KINDS, parseResource } from '@sallyport/shared/resources';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { objectOf, SAMPLES } from './crd-objects.ts';
import { crdFiles } from './crds.ts';
import { BUILD_MS, buildGoProgram } from './go-program.ts';

const FOLDER = join(import.meta.dirname, 'crdcheck');

interface Verdicts {
  readonly crds: readonly { readonly name: string; readonly problems: readonly string[] }[];
  readonly objects: readonly { readonly problems: readonly string[]; readonly pruned: readonly string[]; readonly stored: { readonly spec: Record<string, unknown> } }[];
}

function ask(path: string, crds: readonly string[], objects: readonly object[]): Verdicts {
  const run = spawnSync(path, { input: JSON.stringify({ crds, objects }), encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout) as Verdicts;
}

function zodVerdict(object: object): 'takes' | 'refuses' {
  try {
    parseResource(object);
    return 'takes';
  } catch {
    return 'refuses';
  }
}

describe('zod', () => {
  it.each(SAMPLES)('$zod $name ($kind)', (sample) => {
    expect(zodVerdict(objectOf(sample))).toBe(sample.zod);
  });

  it('is nowhere laxer than the CRD, and stricter only for a reason', () => {
    expect(SAMPLES.filter(({ zod, crd, why }) => zod !== crd && (zod === 'takes' || why === undefined))).toEqual([]);
  });
});

describe('the code of the Kubernetes API server', () => {
  let verdicts: Verdicts | null = null;
  let binary = '';

  beforeAll(async () => {
    const built = await buildGoProgram(FOLDER);
    if ('missing' in built) {
      if (process.env['CI'] === 'true') throw new Error(`the CRDs cannot be checked: ${built.missing}`);
      console.warn(`\nSKIPPED: the CRDs are not checked by the API server's own code. ${built.missing}\n`);
      return;
    }
    binary = built.path;
    verdicts = ask(binary, [...crdFiles().values()], SAMPLES.map(objectOf));
  }, BUILD_MS + 60_000);

  it('takes every CRD, with the cost of its rules', ({ skip }) => {
    skip(verdicts === null, 'no checker');
    expect(verdicts?.crds.map(({ problems }) => problems)).toEqual(Object.keys(KINDS).map(() => []));
  });

  it.for(SAMPLES.map((sample, index) => ({ ...sample, index })))('$crd $name ($kind)', ({ crd, index }, { skip }) => {
    skip(verdicts === null, 'no checker');
    const { problems, pruned } = verdicts?.objects[index] ?? { problems: ['no answer'], pruned: [] };
    expect({ verdict: problems.length > 0 ? 'refuses' : pruned.length > 0 ? 'prunes' : 'takes', problems }).toMatchObject(crd === 'refuses' ? { verdict: crd } : { verdict: crd, problems: [] });
  });

  it('fills in the defaults that zod fills in', ({ skip }) => {
    skip(verdicts === null, 'no checker');
    const taken = SAMPLES.map((sample, index) => ({ sample, stored: verdicts?.objects[index]?.stored.spec })).filter(({ sample }) => sample.zod === 'takes');
    expect(taken.map(({ stored }) => stored)).toEqual(taken.map(({ sample }) => parseResource(objectOf(sample)).spec));
  });

  it('refuses a rule whose cost has no bound', ({ skip }) => {
    skip(binary === '', 'no checker');
    const crd = [...crdFiles()].find(([path]) => path.includes('meshes'))?.[1].replace('maxItems: 32', 'nullable: false') ?? '';
    const rule = JSON.stringify('self.spec.trustDomainAliases.all(a, self.spec.trustDomainAliases.all(b, a.matches(b)))');
    const costly = crd.replace(/x-kubernetes-validations:\n {12}-/, `x-kubernetes-validations:\n            - rule: ${rule}\n              message: x\n            -`);
    expect(ask(binary, [costly], []).crds[0]?.problems.join()).toMatch(/cost exceeds budget/);
  });
});
