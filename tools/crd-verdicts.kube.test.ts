import { InvalidResourceError, type Kind, KINDS, parseResource, type Resource } from '@sallyport/shared/resources';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import '../apps/operator/src/testing/provided.ts';
import { type Case, casesOf } from './crd-cases.ts';
import { DIVERGENCES } from './crd-divergences.ts';
import { metadataCases } from './crd-metadata.ts';
import { type TestApi, testApi } from './kube/test-api.ts';

const NAMESPACE = 'shop';
const AT_ONCE = 8;
let api: TestApi;

beforeAll(async () => {
  api = testApi(inject('kubeconfig'));
  await api.ask('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
});
afterAll(() => api.close());

/** What zod makes of an object, or why it refuses. */
function byZod(object: object): Resource | string {
  try {
    return parseResource(object);
  } catch (error) {
    if (error instanceof InvalidResourceError) return error.message;
    throw error;
  }
}

/** What the API server would store, or why it refuses; `fieldValidation=Strict` is what kubectl asks for by default. */
async function byServer({ kind, object }: Case): Promise<Record<string, unknown> | string> {
  const { plural, namespaced } = KINDS[kind];
  const { status, body } = await api.ask('POST', `/apis/sallyport.dev/v1alpha1/${namespaced ? `namespaces/${NAMESPACE}/` : ''}${plural}?dryRun=All&fieldValidation=Strict`, object);
  if (status === 201) return body;
  if (status !== 422 && status !== 400) throw new Error(`${status}: ${String(body['message'])}`);
  return String(body['message']);
}

/** What they say differently, unless that is known; known ones are noted. */
async function compare(each: Case, known: Set<object>): Promise<string | null> {
  const [zod, server] = [byZod(each.object), await byServer(each)];
  const here = `${each.place} = ${each.put}`;
  if (typeof zod !== 'string' && typeof server !== 'string') {
    const same = JSON.stringify(sorted(zod.spec)) === JSON.stringify(sorted(server['spec']));
    return same ? null : `${here}: stored as ${JSON.stringify(server['spec'])}, by zod as ${JSON.stringify(zod.spec)}`;
  }
  if (typeof zod === 'string' && typeof server === 'string') return null;
  const stricter = typeof zod === 'string' ? 'zod' : 'the API server';
  const found = DIVERGENCES.find((divergence) => divergence.stricter === stricter && divergence.covers(each));
  if (found === undefined) return `${here}: only ${stricter} refuses: ${typeof zod === 'string' ? zod : JSON.stringify(server)}`;
  known.add(found);
  return null;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]));
}

async function differences(cases: readonly Case[], known: Set<object>): Promise<string[]> {
  const queue = [...cases];
  const found: string[] = [];
  const work = async () => {
    for (let each = queue.shift(); each !== undefined; each = queue.shift()) found.push(...[await compare(each, known)].filter((text) => text !== null));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}

describe('zod and the API server', () => {
  const known = new Set<object>();

  it.for(Object.keys(KINDS) as Kind[])('give each %s the same verdict and the same defaults', { timeout: 600_000 }, async (kind) => {
    const { cases, untouched } = casesOf(kind);
    expect(untouched, 'fields that no sample has').toEqual([]);
    expect(await differences(cases, known)).toEqual([]);
  });

  it.for(Object.keys(KINDS) as Kind[])('give the metadata of each %s the same verdict', async (kind) => {
    expect(await differences(metadataCases(kind), known)).toEqual([]);
  });

  it('differ in nothing that is listed and not so', () => {
    expect(known.size).toBe(DIVERGENCES.length);
  });

  it('differ as the documentation says', () => {
    const page = readFileSync(join(import.meta.dirname, '../docs/kubernetes/resources.md'), 'utf8').replace(/\s+/g, ' ');
    expect(DIVERGENCES.filter(({ why }) => !page.includes(why))).toEqual([]);
  });
});
