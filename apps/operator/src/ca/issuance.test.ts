import { setTimeout as delay } from 'node:timers/promises';
import type { CaView } from '@sallyport/shared/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../store/postgres/client.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { WireProxy } from '../testing/proxy.ts';
import { IssuanceLimit, OverLimitError } from './issuance-limit.ts';

describe('IssuanceLimit', () => {
  it('holds a short burst and gives the rest appointments, never more for a second than it serves in one', async () => {
    const limit = new IssuanceLimit(50, () => 1_000_000);
    const results = await Promise.allSettled(Array.from({ length: 1000 }, () => limit.admit()));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as OverLimitError] : []));
    expect(refused.every((error) => error instanceof OverLimitError)).toBe(true);
    expect(results.length - refused.length).toBe(101);
    const bySecond = Map.groupBy(refused, ({ retryAfter }) => retryAfter);
    expect(Math.max(...[...bySecond.values()].map((group) => group.length))).toBeLessThanOrEqual(50);
    expect(Math.min(...bySecond.keys())).toBeGreaterThan(2);
    expect(Math.max(...bySecond.keys())).toBeLessThanOrEqual(25);
  });
});

describe('a thousand certificate requests at once', () => {
  const PROXIES = 20;
  const EACH = 50;
  let operator: TestOperator;
  let proxies: WireProxy[];
  beforeAll(async () => {
    operator = await startOperator();
    proxies = Array.from({ length: PROXIES }, (_, index) => new WireProxy(`node-${index}`, operator));
    for (const proxy of proxies) await proxy.enrol();
  });
  afterAll(async () => {
    for (const proxy of proxies) proxy.close();
    await operator.close();
  });

  /** Asks until served, and comes back when it is told to, as the proxy does. @returns how often it was sent away */
  async function untilServed(proxy: WireProxy): Promise<number> {
    for (let refusals = 0; ; refusals += 1) {
      const { status, retryAfter } = await proxy.call('/v1/svid', { workload: null, csr: proxy.csr() });
      if (status === 200) return refusals;
      expect([status, retryAfter > 0]).toEqual([429, true]);
      await delay(retryAfter * 1000);
    }
  }

  it('are all served, recorded in one unbroken chain, and none is sent away again and again', async () => {
    const refusals = await Promise.all(proxies.flatMap((proxy) => Array.from({ length: EACH }, () => untilServed(proxy))));
    expect(refusals).toHaveLength(PROXIES * EACH);
    expect(Math.max(...refusals)).toBeGreaterThan(0);
    expect(Math.max(...refusals)).toBeLessThanOrEqual(5);
    const view = (await operator.call('GET', '/ca')).body as CaView;
    expect(view.issuance.issued['svid']).toBe(PROXIES * EACH);
    expect(view.record).toBe('intact');
    const database = openDatabase(operator.databaseUrl);
    const last = await database.certificate.findFirstOrThrow({ orderBy: { seq: 'desc' } });
    expect(last.seq).toBe(BigInt(await database.certificate.count()));
    await database.$disconnect();
  }, 180_000);
});
