import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../testing/database.ts';
import { type IssuedJwt, jwtChain, JwtLedger } from './jwt-issuances.ts';

const START = Date.UTC(2026, 10, 25);
const HOUR = 3_600_000;
let test: TestDatabase;
beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(async () => {
  await test.close();
});

const token = (changes: Partial<IssuedJwt> = {}): IssuedJwt => {
  const now = changes.now ?? START;
  return { spiffeId: 'spiffe://shop.test/ns/shop/sa/web', audience: ['reports'], kid: 'k1', proxy: 'node-1', workload: { namespace: 'shop', name: 'web' }, attestation: 'served-by-proxy', now, expiresAt: now + 300_000, ...changes };
};
const rows = () => test.database.jwtIssuance.findMany({ orderBy: { seq: 'asc' } });

it('keeps a row an hour for each workload, audience and key, however many tokens there are', async () => {
  const ledger = new JwtLedger(test.database);
  const each = [token(), token({ audience: ['reports', 'billing'] }), token({ kid: 'k2' })];
  await Promise.all(Array.from({ length: 600 }, (_, index) => ledger.record({ ...(each[index % 3] ?? token()), now: START + index })));
  expect((await rows()).map(({ audience, kid }) => `${audience.join(' ')} ${kid}`).toSorted()).toEqual(['reports billing k1', 'reports k1', 'reports k2']);
  await ledger.record(token({ now: START + HOUR - 1 }));
  expect(await rows()).toHaveLength(3);
  await ledger.record(token({ now: START + HOUR }));
  const all = await rows();
  expect(all).toHaveLength(4);
  // The last token of the period may come at its end, and lives on from there.
  expect(all[3]).toMatchObject({ issuedAt: new Date(START + HOUR), notAfter: new Date(START + 2 * HOUR + 300_000) });
  expect(await jwtChain(test.database).verify()).toBe('intact');
});

it('makes another row after a restart, which knows of none, in the same chain', async () => {
  const before = (await rows()).length;
  await new JwtLedger(test.database).record(token());
  expect(await rows()).toHaveLength(before + 1);
  expect(await jwtChain(test.database).verify()).toBe('intact');
});

it('covers nothing that could not be kept', async () => {
  const ledger = new JwtLedger(test.database);
  const before = (await rows()).length;
  await test.database.$executeRaw`ALTER TABLE jwt_issuances RENAME TO elsewhere`;
  await expect(ledger.record(token())).rejects.toThrow('jwt_issuances');
  await expect(ledger.record(token({ now: START + 1 }))).rejects.toThrow('jwt_issuances');
  await test.database.$executeRaw`ALTER TABLE elsewhere RENAME TO jwt_issuances`;
  await ledger.record(token({ now: START + 2 }));
  expect(await rows()).toHaveLength(before + 1);
});

it('shows a row that was changed', async () => {
  const chain = jwtChain(test.database);
  expect(await chain.verify()).toBe('intact');
  await test.database.jwtIssuance.update({ where: { seq: 2n }, data: { audience: ['somebody-else'] } });
  expect(await jwtChain(test.database).verify()).toBe('broken');
});
