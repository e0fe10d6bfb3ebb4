import { setTimeout as delay } from 'node:timers/promises';
import { parseResource, type Resource } from '@sallyport/shared/resources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError, NotFoundError, type ResourceStore, type StoreEvent, type WriteContext } from './ports.ts';

/** What an adapter brings to be held to {@link ResourceStore}. */
export interface StoreUnderTest {
  readonly store: ResourceStore;
  /** Cuts every connection that a watch may be using. */
  breakConnections(): Promise<void>;
  close(): Promise<void>;
}

const by = (manager: string, force = false): WriteContext => ({ manager, actor: 'conformance', via: 'system', force });

function service(namespace: string, name: string, port: number, labels: Record<string, string> = {}): Resource {
  const spec = { selector: { app: name }, ports: [{ port }] };
  return parseResource({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'Service', metadata: { name, namespace, labels }, spec });
}

/** Runs the suite. Every adapter of the port must pass it unchanged. */
export function storeConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a ResourceStore`, () => {
    let subject: StoreUnderTest;
    let store: ResourceStore;
    beforeAll(async () => {
      subject = await open();
      store = subject.store;
    });
    afterAll(() => subject.close());
    writes(() => store);
    ownership(() => store);
    watches(() => store, () => subject);
  });
}

function writes(store: () => ResourceStore): void {
  it('creates, reads, lists and deletes', async () => {
    const [created] = await store().apply([service('w1', 'a', 80)], by('t'));
    expect(created?.action).toBe('created');
    expect(created?.object.metadata).toMatchObject({ name: 'a', namespace: 'w1', generation: 1 });
    const key = { kind: 'Service', namespace: 'w1', name: 'a' } as const;
    expect((await store().get(key))?.spec).toEqual(created?.object.spec);
    expect((await store().list('Service', 'w1')).items.map((item) => item.metadata.name)).toEqual(['a']);
    await store().delete(key, by('t'));
    expect(await store().get(key)).toBeNull();
    await expect(store().delete(key, by('t'))).rejects.toThrow(NotFoundError);
  });

  it('bumps the generation for spec, not for labels or status, and the revision only for a change', async () => {
    const first = (await store().apply([service('w2', 'a', 80)], by('t')))[0]?.object.metadata;
    const again = (await store().apply([service('w2', 'a', 80)], by('t')))[0];
    expect(again?.action).toBe('unchanged');
    expect(again?.object.metadata.resourceVersion).toBe(first?.resourceVersion);
    const labelled = (await store().apply([service('w2', 'a', 80, { team: 'x' })], by('t')))[0];
    expect(labelled?.object.metadata.generation).toBe(1);
    const changed = (await store().apply([service('w2', 'a', 81, { team: 'x' })], by('t')))[0];
    expect(changed?.object.metadata.generation).toBe(2);
    await store().writeStatus({ kind: 'Service', namespace: 'w2', name: 'a' }, { observedGeneration: 2 });
    const read = await store().get({ kind: 'Service', namespace: 'w2', name: 'a' });
    expect(read?.metadata.generation).toBe(2);
    expect(read?.status).toEqual({ observedGeneration: 2 });
  });

  it('applies all or nothing and refuses a stale resourceVersion', async () => {
    const [a] = await store().apply([service('w3', 'a', 80)], by('t'));
    await store().apply([service('w3', 'a', 81)], by('t'));
    const stale = service('w3', 'a', 82);
    stale.metadata.resourceVersion = a?.object.metadata.resourceVersion;
    await expect(store().apply([service('w3', 'b', 80), stale], by('t'))).rejects.toThrow(ConflictError);
    expect(await store().get({ kind: 'Service', namespace: 'w3', name: 'b' })).toBeNull();
  });

  it('writes nothing on a dry run', async () => {
    const results = await store().apply([service('w4', 'a', 80)], by('t'), true);
    expect(results.map((result) => result.action)).toEqual(['created']);
    expect((await store().list('Service', 'w4')).items).toEqual([]);
    expect(await store().get({ kind: 'Service', namespace: 'w4', name: 'a' })).toBeNull();
  });
}

function ownership(store: () => ResourceStore): void {
  it('refuses another manager a field that is owned, names owner and field, and lets force take it', async () => {
    await store().apply([service('o1', 'a', 80)], by('alice'));
    await expect(store().apply([service('o1', 'a', 81)], by('bob'))).rejects.toThrow(/spec\.ports is owned by "alice"/);
    const [forced] = await store().apply([service('o1', 'a', 81)], by('bob', true));
    expect(forced?.action).toBe('configured');
    await expect(store().apply([service('o1', 'a', 80)], by('alice'))).rejects.toThrow(/owned by "bob"/);
  });

  it('removes what its only owner leaves out and keeps what another owns', async () => {
    await store().apply([service('o2', 'a', 80, { one: '1', both: 'x' })], by('alice'));
    await store().apply([service('o2', 'a', 80, { both: 'x' })], by('bob'));
    const [result] = await store().apply([service('o2', 'a', 80)], by('alice'));
    expect(result?.object.metadata.labels).toEqual({ both: 'x' });
  });
}

async function collect(store: ResourceStore, from: string, count: number, during: () => Promise<void>): Promise<StoreEvent[]> {
  const stop = new AbortController();
  const seen: StoreEvent[] = [];
  const reader = (async () => {
    for await (const event of store.watch(from, stop.signal)) {
      if (event.type !== 'Bookmark') seen.push(event);
      if (seen.length >= count) break;
    }
  })();
  const bounded = Promise.race([reader, delay(20_000)]);
  await during();
  await bounded;
  stop.abort();
  return seen;
}

function watches(store: () => ResourceStore, subject: () => StoreUnderTest): void {
  it('tells every change once, in order, from a revision and on', async () => {
    const from = await store().revision();
    await store().apply([service('v1', 'early', 80)], by('t'));
    const events = await collect(store(), from, 3, async () => {
      await store().apply([service('v1', 'early', 81)], by('t'));
      await store().delete({ kind: 'Service', namespace: 'v1', name: 'early' }, by('t'));
    });
    expect(events.map((event) => event.type)).toEqual(['Added', 'Modified', 'Deleted']);
  });

  it('misses and repeats nothing under concurrent writers and lost connections', async () => {
    const from = await store().revision();
    const writers = 8;
    const each = 10;
    const events = await collect(store(), from, writers * each, async () => {
      const jobs = Array.from({ length: writers }, async (_, writer) => {
        for (let i = 0; i < each; i += 1) {
          await store().apply([service('v2', `s${writer}-${i}`, 80)], by('t'));
          if (writer === 0 && i % 4 === 1) await subject().breakConnections();
        }
      });
      await Promise.all(jobs);
    });
    const revisions = events.map((event) => (event.type === 'Gone' ? -1n : BigInt(event.revision)));
    expect(revisions).toEqual([...revisions].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    const names = events.map((event) => ('object' in event ? event.object.metadata.name : ''));
    expect(new Set(names).size).toBe(writers * each);
    expect(names).toHaveLength(writers * each);
  });
}
