import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditChain, auditWrites, readAudit } from '../../history/audit.ts';
import { openTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { API_VERSION, KINDS } from '@sallyport/shared/resources';
import { storeConformance } from '../conformance.ts';
import { migrate } from './migrate.ts';
import { PostgresStore } from './store.ts';
import { ChangeFeed } from './watch.ts';

async function openStore(test: TestDatabase) {
  const feed = new ChangeFeed({ url: test.url, database: test.database });
  feed.start();
  const store = new PostgresStore({ database: test.database, feed, record: auditWrites(Date.now), now: Date.now });
  return { store, feed };
}

storeConformance('PostgresStore', async () => {
  const test = await openTestDatabase();
  const { store, feed } = await openStore(test);
  return {
    store,
    async breakConnections() {
      const client = new Client({ connectionString: test.url });
      await client.connect();
      // Only the listening connection: a writer whose transaction is cut gets an error, as it should.
      await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN sallyport_changes'");
      await client.end();
    },
    async close() {
      await feed.close();
      await test.close();
    },
  };
});

describe('PostgreSQL', () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await openTestDatabase();
  });
  afterAll(() => test.close());

  it('takes the migrations again on a database that has them', async () => {
    expect(await migrate(test.url)).toEqual([]);
  });

  it('gives what an earlier version wrote the defaults of today, and keeps what it would refuse today', async () => {
    const { store, feed } = await openStore(test);
    const context = { manager: 'm', actor: 'ada', via: 'cli' } as const;
    const mesh = KINDS.Mesh.schema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'old' }, spec: { trustDomain: 'shop.test' } });
    await store.apply([mesh], context);
    const rewrite = (spec: object) => test.database.resource.updateMany({ where: { kind: 'Mesh', name: 'old' }, data: { spec } });
    await rewrite({ trustDomain: 'shop.test', strict: { window: '60s' } });
    expect((await store.get({ kind: 'Mesh', namespace: '', name: 'old' }))?.spec).toMatchObject({ trustDomain: 'shop.test', strict: { window: '60s', watch: '10m' }, jwks: { allowedHosts: [] }, compatibility: 'sallyport' });
    await rewrite({ trustDomain: 'shop.test', gone: true });
    expect((await store.list('Mesh')).items[0]?.spec).toEqual({ trustDomain: 'shop.test', gone: true });
    await store.delete({ kind: 'Mesh', namespace: '', name: 'old' }, context);
    await test.database.auditEntry.deleteMany();
    await feed.close();
  });

  it('records every write in the chain, and finds a changed, a removed and a truncated entry', async () => {
    const { store, feed } = await openStore(test);
    const write = (name: string) =>
      store.apply(
        [{ apiVersion: 'sallyport.dev/v1alpha1', kind: 'Service', metadata: { name, namespace: 'n' }, spec: { selector: {}, ports: [{ port: 1, protocol: 'tcp' }] } }],
        { manager: 'm', actor: 'ada', via: 'cli' },
      );
    await write('a');
    await write('b');
    await write('c');
    await feed.close();
    const { items } = await readAudit(test.database, null, 10);
    expect(items.map((item) => [item.actor, item.action, item.resource])).toEqual([
      ['ada', 'create', 'Service/n/c'],
      ['ada', 'create', 'Service/n/b'],
      ['ada', 'create', 'Service/n/a'],
    ]);
    const watching = auditChain(test.database);
    expect(await watching.verify()).toBe('intact');
    await test.database.auditEntry.update({ where: { seq: 2n }, data: { actor: randomUUID() } });
    expect(await auditChain(test.database).verify()).toBe('broken');
    await test.database.auditEntry.update({ where: { seq: 2n }, data: { actor: 'ada' } });
    expect(await auditChain(test.database).verify()).toBe('intact');
    await test.database.auditEntry.delete({ where: { seq: 3n } });
    expect(await watching.verify()).toBe('broken');
  });
});
