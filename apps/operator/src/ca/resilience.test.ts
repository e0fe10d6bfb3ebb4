import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import type { Certificate, CertificatesView } from '@sallyport/shared/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EchoMesh } from '../testing/echo-mesh.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { until } from '../testing/until.ts';

/** A real operator and two real proxies. A lifetime is short enough to wait for, and stands for a day. */
const SECOND = 1_000;
const SHORT = 10 * SECOND;
const LONG = 90 * SECOND;
const lifetimes = (leafMs: number) => ({ certificates: { leafLifetime: `${leafMs / SECOND}s`, issuerLifetime: '12m', rootLifetime: '24h' } });
const directory = mkdtempSync(join(tmpdir(), 'resilience-'));
const logFile = join(directory, 'proxies.log');
const log = openSync(logFile, 'w');
let operator: TestOperator;
let mesh: EchoMesh;

beforeAll(async () => {
  operator = await startOperator();
  mesh = await EchoMesh.start(operator, directory, lifetimes(SHORT), log);
}, 120_000);
afterAll(async () => {
  await operator.close();
  await mesh.close();
  closeSync(log);
  rmSync(directory, { recursive: true, force: true });
});

const works = () => until(() => mesh.trouble(), (trouble) => trouble === null);
/** The newest SVID of each proxy and each workload. */
const svids = async () => ((await operator.call('GET', '/certificates')).body as CertificatesView).items;
const all = (items: readonly Certificate[], good: (item: Certificate) => boolean) => items.length === 5 && items.every(good);
const end = ({ notAfter }: Certificate) => Date.parse(notAfter);

describe('SVIDs of short life', { timeout: 240_000 }, () => {
  it('heal without a hand after operator and proxies slept until everything had expired', async () => {
    expect(await works()).toBeNull();
    const processes = [(name: NodeJS.Signals) => operator.signal(name), ...mesh.proxies.map((proxy) => (name: NodeJS.Signals) => void proxy.kill(name))];
    const before = await svids();
    for (const signal of processes) signal('SIGSTOP');
    // No SVID that was asked for before the stop can be valid after this.
    await delay(SHORT + SECOND);
    for (const signal of processes) signal('SIGCONT');
    expect(await works()).toBeNull();
    const after = await until(svids, (items) => all(items, (item) => end(item) > Date.now()));
    expect(after.filter(({ serial }) => before.some((item) => item.serial === serial))).toEqual([]);
    expect(mesh.proxies.map(({ exitCode }) => exitCode)).toEqual([null, null]);
  });

  it('carry every call while the operator is away for 40 % of a lifetime, in which each of them should have been renewed', async () => {
    await mesh.configure(lifetimes(LONG));
    // All young, so that all come due while it is away.
    const before = await until(svids, (items) => all(items, (item) => end(item) > Date.now() + 0.7 * LONG && item.lifetimeUsed < 0.15));
    expect(all(before, ({ lifetimeUsed }) => lifetimeUsed < 0.15)).toBe(true);
    // From a time at which none is renewed yet, to one at which all should have been.
    await delay(Math.max(0, Math.min(...before.map(end)) - 0.85 * LONG - Date.now()));
    let calls = 0;
    const done = new AbortController();
    const calling = (async () => {
      for (; !done.signal.aborted; calls += 1) {
        const trouble = await mesh.trouble();
        if (trouble !== null) return trouble;
      }
      return null;
    })();
    for (const way of mesh.operatorWays) way.cut();
    await delay(0.4 * LONG);
    for (const way of mesh.operatorWays) way.mend();
    // Each call makes a handshake: an SVID that expired before it was followed would have failed one.
    const after = await until(svids, (items) => all(items, ({ serial }) => before.every((item) => item.serial !== serial)));
    done.abort();
    expect([await calling, calls > 0]).toEqual([null, true]);
    expect(all(after, (item) => before.every(({ serial }) => serial !== item.serial))).toBe(true);
    expect(readFileSync(logFile, 'utf8')).toContain('SVID not renewed; trying again');
  });

  it('are served as they are recorded', async () => {
    const seen: string[] = [];
    const isRecorded = async () => {
      const serial = await servedSerial(mesh.directPort);
      seen.push(serial);
      return (await svids()).some((item) => item.serial === serial && item.workload === 'direct' && item.state === 'served');
    };
    // A renewal between the two looks makes them differ: then once more.
    expect([await until(isRecorded, (recorded) => recorded), seen.at(-1)]).toEqual([true, expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });
});

/** What the proxy shows to whoever calls; a caller without a certificate is refused after that. */
async function servedSerial(port: number): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? '';
  socket.destroy();
  return serial;
}
