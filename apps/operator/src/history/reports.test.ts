import { coverageOf } from '@sallyport/shared/graph';
import type { Flow } from '@sallyport/shared/mesh';
import type { ReportRequest } from '@sallyport/shared/push';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../testing/database.ts';
import { pruneTelemetry, readDenies, readFlows } from './flows.ts';
import { acceptReport, enrolProxy, readCoverage } from './proxies.ts';
import { readShadows } from './shadows.ts';

let db: TestDatabase;
let proxy: string;
let number = 0;
const START = Date.UTC(2026, 0, 1);
const HOUR = { from: START, to: START + 3_600_000 };

beforeAll(async () => {
  db = await openTestDatabase();
});
afterAll(() => db.close());
beforeEach(async () => {
  number += 1;
  proxy = `node-${number}`;
  await db.database.$transaction((transaction) => enrolProxy(transaction, proxy, 'node', 'key', START));
});

function report(epoch: string, seq: number, seconds: readonly [number, number], changes: Partial<ReportRequest> = {}): ReportRequest {
  const [from, to] = [START + seconds[0] * 1000, START + seconds[1] * 1000];
  const source = { principal: 'spiffe://t/ns/a/sa/a', ip: '10.0.0.1' };
  const at = { source, destination: { namespace: 'shop', workload: 'api', service: null, port: 80 } };
  const flow: Flow = { ...at, reporter: proxy, side: 'inbound', protocol: 'http', method: 'GET', path: '/', samplePath: '/', mtls: 'mutual', verdict: 'allowed', reason: null, policy: null, count: 1, bytesReceived: 2, bytesSent: 3, firstSeen: from, lastSeen: from };
  const deny = { ...at, at: from, reporter: proxy, method: 'GET', path: '/', policy: null, reason: 'policy-deny' as const, traceId: null };
  const shadow = { policy: 'shop/p', action: 'DENY' as const, rule: 0, namespace: 'shop', workload: proxy, port: 80, count: 1 };
  return { epoch: `${epoch}-of-${proxy}`, seq, from, to, droppedFrom: null, flows: [flow], denies: [deny], shadows: [shadow], svids: [], configVersion: null, configAgeSeconds: null, ...changes };
}

const accept = (value: ReportRequest) => acceptReport(db.database, proxy, value, value.to);

async function counted() {
  const flows = (await readFlows(db.database, HOUR)).filter(({ reporter }) => reporter === proxy);
  const denies = (await readDenies(db.database, HOUR, 10_000)).items.filter(({ reporter }) => reporter === proxy);
  const shadows = (await readShadows(db.database, HOUR)).filter(({ workload }) => workload === proxy);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return { calls: sum(flows.map(({ count }) => count)), sent: sum(flows.map(({ bytesSent }) => bytesSent)), denies: denies.length, shadows: sum(shadows.map(({ count }) => count)) };
}

/** Gaps in seconds after the start, as the API shows them. */
async function gaps(until: number): Promise<number[][]> {
  const intervals = await readCoverage(db.database, HOUR);
  const window = { from: START, to: START + until * 1000 };
  const view = coverageOf({ window, now: HOUR.to, expectedProxies: [proxy], proxies: [{ name: proxy, enrolledAt: START - 1, lastReport: window.to }], intervals: intervals.filter((interval) => interval.proxy === proxy) });
  return (view.proxies[0]?.gaps ?? []).map(({ from, to }) => [from, to].map((at) => (Date.parse(at) - START) / 1000));
}

it('takes a report once, however often and however close together it is sent', async () => {
  const first = report('a', 1, [0, 2]);
  const outcomes = await Promise.all([accept(first), accept(first), accept(first)]);
  expect([...outcomes].sort()).toEqual(['accepted', 'duplicate', 'duplicate']);
  expect(await accept(report('a', 2, [2, 4]))).toBe('accepted');
  expect(await accept(first)).toBe('duplicate');
  expect(await counted()).toEqual({ calls: 2, sent: 6, denies: 2, shadows: 2 });
  expect(await gaps(4)).toEqual([]);
});

it('takes none twice while an old process and its successor report in turn', async () => {
  const reports = [report('a', 1, [0, 2]), report('b', 1, [2, 4]), report('a', 2, [2, 5]), report('b', 1, [2, 4]), report('a', 2, [2, 5]), report('b', 2, [4, 6])];
  const outcomes = [];
  for (const each of reports) outcomes.push(await accept(each));
  expect(outcomes).toEqual(['accepted', 'accepted', 'accepted', 'duplicate', 'duplicate', 'accepted']);
  expect(await counted()).toEqual({ calls: 4, sent: 12, denies: 4, shadows: 4 });
  expect(await gaps(6)).toEqual([]);
});

it('shows what a killed process did not deliver as a gap', async () => {
  await accept(report('a', 1, [0, 2]));
  await accept(report('b', 1, [2.05, 4]));
  expect(await gaps(4)).toEqual([[2, 2.05]]);
});

it('shows a report that was dropped as a gap, also a short one, whether or not the next one says so', async () => {
  await accept(report('a', 1, [0, 2]));
  await accept(report('a', 3, [2.1, 4]));
  await accept(report('a', 5, [4.1, 6], { droppedFrom: START + 4_000 }));
  expect(await gaps(6)).toEqual([[2, 2.1], [4, 4.1]]);
});

it('shows the time of a report that is incomplete as a gap, and counts what it brought', async () => {
  await accept(report('a', 1, [0, 2]));
  await accept(report('a', 2, [2, 4], { droppedFrom: START + 2_000 }));
  await accept(report('a', 3, [4, 6]));
  await accept(report('a', 4, [6, 8], { droppedFrom: START + 7_000 }));
  expect(await gaps(8)).toEqual([[2, 4], [7, 8]]);
  expect((await counted()).calls).toBe(4);
});

it('proves nothing by a report of no time, and does not lose its counts', async () => {
  await accept(report('a', 1, [0, 2]));
  await accept(report('a', 2, [2, 2]));
  await accept(report('a', 3, [2, 4]));
  expect(await gaps(4)).toEqual([]);
  expect((await counted()).calls).toBe(3);
});

it('forgets numbers no earlier than what they brought', async () => {
  const first = report('a', 1, [0, 2]);
  await accept(first);
  await pruneTelemetry(db.database, new Date(START + 1_000));
  expect(await accept(first)).toBe('duplicate');
  await pruneTelemetry(db.database, new Date(START + 3_000));
  expect(await db.database.reportEpoch.count({ where: { proxy } })).toBe(0);
});
