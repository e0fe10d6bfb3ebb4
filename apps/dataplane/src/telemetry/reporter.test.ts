import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import type { ReportRequest } from '@sallyport/shared/push';
import { until } from '../../test/mesh.ts';
import { PushFailure } from '../config-stream/operator-session.ts';
import { FlowCounter, type FlowFacts } from './flow-counter.ts';
import { Reporter } from './reporter.ts';

const log = pino({ level: 'silent' });
let reporter: Reporter;
let counter: FlowCounter;
let posts: ReportRequest[];
/** What becomes of the next posts, in turn; then all are taken. */
let fates: (Error | 'taken')[];
let number = 0;

const context = () => ({ svids: [], configVersion: null, configAgeSeconds: null });
const unreachable = new Error('connection closed');
const refused = new PushFailure('/v1/report', 400, 'malformed', 0);

function start(maxKeys = 2_000): void {
  posts = [];
  fates = [];
  counter = new FlowCounter('p', maxKeys);
  const post = (_path: string, body: unknown) => {
    posts.push(body as ReportRequest);
    const fate = fates.shift() ?? 'taken';
    return fate === 'taken' ? Promise.resolve({ acceptedSeq: 1 } as never) : Promise.reject(fate);
  };
  reporter = new Reporter({ link: { post }, counter, context, flush: () => undefined, interval: 10, log });
}
afterEach(() => reporter.stop(1_000));

function count(): void {
  number += 1;
  const facts: FlowFacts = { side: 'inbound', source: { principal: null, ip: `10.0.${number >> 8}.${number & 255}` }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 }, protocol: 'http', method: 'GET', path: '/', mtls: 'plaintext', verdict: 'allowed', reason: null, policy: null };
  counter.add(facts, { count: 1, bytesReceived: 0, bytesSent: 0 }, Date.now());
}

it('sends a report again, number and all, until it is taken', async () => {
  start();
  fates = [unreachable, unreachable];
  count();
  reporter.start();
  await until('reports after it', () => posts.length > 4);
  expect(posts[1]).toEqual(posts[0]);
  expect(posts[2]).toEqual(posts[0]);
  expect(posts[0]?.flows).toHaveLength(1);
  expect(posts.slice(2).map(({ seq }) => seq)).toEqual(posts.slice(2).map((_, index) => index + 1));
  expect(reporter.gaps).toBe(0);
});

it('drops what the operator refuses, keeps its numbers, and says from when something is missing', async () => {
  start();
  fates = ['taken', refused];
  reporter.start();
  await until('reports after it', () => posts.length > 4);
  const [first, dropped, next, later] = posts;
  expect(next).toMatchObject({ epoch: first?.epoch, seq: 3, from: dropped?.to, droppedFrom: dropped?.from });
  expect(later?.droppedFrom).toBeNull();
  expect(reporter.gaps).toBe(1);
});

it('says that a report is incomplete when calls had no room', async () => {
  start(2);
  for (let i = 0; i < 20; i += 1) count();
  reporter.start();
  await until('reports', () => posts.length > 2);
  const [incomplete, next] = posts;
  expect(incomplete?.flows).toHaveLength(8);
  expect(incomplete?.droppedFrom).toBe(incomplete?.from);
  expect(next?.droppedFrom).toBeNull();
  expect(reporter.gaps).toBe(1);
});

it('counts on while the operator is away, and delivers all of it once and in order', async () => {
  start();
  const before = number;
  fates = Array.from({ length: 3 }, () => new PushFailure('/v1/report', 503, 'busy', 0));
  const beat = setInterval(count, 1);
  reporter.start();
  await until('the operator to be back', () => fates.length === 0);
  clearInterval(beat);
  const delivered = () => [...new Map(posts.map((post) => [post.seq, post])).values()];
  await until('all that was counted', () => delivered().reduce((sum, { flows }) => sum + flows.length, 0) === number - before);
  expect(delivered().map(({ seq }) => seq)).toEqual(delivered().map((_, index) => index + 1));
  expect(delivered().slice(1).map(({ from }) => from)).toEqual(delivered().slice(0, -1).map(({ to }) => to));
  expect(reporter.gaps).toBe(0);
});
