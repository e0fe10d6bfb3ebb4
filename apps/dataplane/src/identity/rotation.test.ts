import http from 'node:http';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readCsr } from '@sallyport/shared/pki';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { addService, addWorkload, baseEntries, freePort, TestMesh, until } from '../../test/mesh.ts';
import { Backoff } from '../backoff.ts';
import { PushFailure } from '../config-stream/operator-session.ts';
import { Credentials } from './credentials.ts';
import { SvidRenewal } from './svid-renewal.ts';
import { TrustBundle } from './trust.ts';

const HOUR = 3_600_000;
const realNow = Date.now;
let mesh: TestMesh | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await mesh?.close();
  mesh = undefined;
});

/** Sets the wall clock off by so much. Time itself, and OpenSSL's clock, go on as they are. */
function clockOffBy(ms: number): void {
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + ms);
}

describe('after a sleep', () => {
  it('a proxy whose SVID expired 24 h ago heals by its machine key, without a token and without a hand', async () => {
    mesh = await TestMesh.start();
    // The machine joins 25 h ago, gets an SVID for one hour, and sleeps.
    clockOffBy(-25 * HOUR);
    const proxy = await mesh.proxy('a');
    await until('the first SVID', () => mesh?.logs.some(({ msg }) => msg === 'SVID installed'));
    expect({ joins: mesh.operator.joins, reattests: mesh.operator.reattests }).toEqual({ joins: ['a'], reattests: [] });
    vi.restoreAllMocks();
    await mesh.configure('a', baseEntries(mesh.operator.ca.root));
    expect({ joins: mesh.operator.joins, reattests: mesh.operator.reattests.length > 0, unready: proxy.unready() }).toEqual({ joins: ['a'], reattests: true, unready: [] });
    expect(mesh.logs.some(({ msg }) => typeof msg === 'string' && msg.startsWith('the clock jumped'))).toBe(true);
  });

  it('a renewal that was due during the sleep is made up for at once; a wake before it is due changes nothing', async () => {
    const { renewal, issued } = renewing(() => Promise.resolve({ renewAt: realNow() + 12 * HOUR }));
    renewal.start();
    await until('the first SVID', () => issued.length === 1);
    renewal.wake();
    await new Promise((resolve) => setImmediate(resolve));
    expect(issued.length).toBe(1);
    clockOffBy(13 * HOUR);
    renewal.wake();
    await until('the second SVID', () => issued.length === 2);
    await renewal.stop();
  });
});

describe('a renewal that fails', () => {
  it('keeps the valid SVID and waits as long as the operator asks', async () => {
    let answers = 0;
    const { renewal, credentials, logs } = renewing(() => {
      answers += 1;
      if (answers === 1) return Promise.resolve({ renewAt: 0 });
      return Promise.reject(new PushFailure('/v1/svid', 429, 'too many', 90_000));
    });
    renewal.start();
    const line = await until('a refusal', () => logs.find(({ msg }) => msg === 'SVID not renewed; trying again'));
    expect(line).toMatchObject({ spiffeId: credentials.spiffeId, retryInMs: 90_000, reason: expect.stringContaining('429') as string });
    expect(credentials.svid?.notAfter).toBeGreaterThan(realNow());
    expect(credentials.context()).not.toBeNull();
    await renewal.stop();
  });

  it('is tried again after 0.5 s at first and 150 s at last, give or take a fifth', () => {
    const backoff = new Backoff(500, 150_000);
    const waits = Array.from({ length: 40 }, () => backoff.next());
    const nominal = waits.map((_, index) => Math.min(150_000, 500 * 2 ** index));
    expect(waits.every((wait, index) => Math.abs(wait - nominal[index]!) <= nominal[index]! * 0.2 + 1)).toBe(true);
    expect(new Set(waits.slice(-20)).size).toBeGreaterThan(10);
  });
});

it('changes of SVID and bundle leave the connections that are open as they are', async () => {
  mesh = await TestMesh.start();
  const port = await freePort();
  const app = await mesh.app((_req, res) => void res.end('ok'));
  const bundles = [[mesh.operator.ca.root], [mesh.operator.ca.root, new TestCa('next').root]];
  const entriesOf = (roots: readonly string[], side: 'a' | 'b') => {
    const entries = baseEntries('');
    entries.set('bundle', { type: 'bundle', value: { trustDomain: TRUST_DOMAIN, roots: [...roots], jwtKeys: [] } });
    if (side === 'b') addWorkload(entries, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
    else addWorkload(entries, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh!.socketPath('web')}` }] });
    addService(entries, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
    return entries;
  };
  mesh.operator.lifetime = 30_000;
  mesh.operator.renewShare = 0.05;
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', entriesOf(bundles[0]!, 'a')), mesh.configure('b', entriesOf(bundles[0]!, 'b'))]);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<unknown>();
  const get = () => new Promise<number>((resolve, reject) => {
    const req = http.request({ agent, socketPath: mesh!.socketPath('web'), headers: { host: 'api.pay' } }, (res) => res.resume().once('end', () => resolve(res.statusCode ?? 0)));
    req.on('socket', (socket) => ports.add(socket)).on('error', reject).end();
  });
  const start = mesh.operator.issued;
  const statuses = new Set<number>();
  for (let round = 0; mesh.operator.issued < start + 8; round += 1) {
    if (round % 50 === 25) for (const side of ['a', 'b'] as const) mesh.operator.configure(side, entriesOf(bundles[Math.floor(round / 50) % 2 === 0 ? 1 : 0]!, side));
    statuses.add(await get());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  agent.destroy();
  expect([...statuses]).toEqual([200]);
  expect(ports.size).toBe(1);
});

/** A renewal for one workload against a source of SVIDs in memory. */
function renewing(answer: () => Promise<{ renewAt: number }>) {
  const ca = new TestCa();
  const trust = new TrustBundle(TRUST_DOMAIN);
  const credentials = new Credentials(workloadUri('shop', 'web'), trust);
  const logs: Record<string, unknown>[] = [];
  const issued: string[] = [];
  const log = pino({ level: 'debug' }, { write: (text: string) => void logs.push(JSON.parse(text) as Record<string, unknown>) });
  const issue = async (csr: string) => {
    const { renewAt } = await answer();
    issued.push(csr);
    const { spiffeId } = credentials;
    return { spiffeId, chain: ca.certify(spiffeId, readCsr(csr), { notBefore: realNow() - HOUR, notAfter: realNow() + 30 * HOUR }), bundle: [ca.root], renewAt };
  };
  return { renewal: new SvidRenewal(credentials, trust, issue, log), credentials, issued, logs };
}
