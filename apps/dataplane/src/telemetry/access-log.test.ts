import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { testRecorder } from '../../test/recorder.ts';
import { AccessLog } from './access-log.ts';
import { Clock } from './clock.ts';
import { LineWriter, PIPE_PIECE } from './line-writer.ts';
import type { FlowFacts } from './series.ts';

let directory: string;
const logs: Record<string, unknown>[] = [];
const log = pino({}, { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'access-'));
  logs.length = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const facts = (changes: Partial<FlowFacts> = {}): FlowFacts => ({
  side: 'inbound', source: { principal: 'spiffe://t/ns/shop/sa/web', ip: '10.0.0.1' }, destination: { namespace: 'pay', workload: 'api', service: 'api', port: 80 },
  protocol: 'http', method: 'GET', path: '/orders/17', mtls: 'mutual', verdict: 'allowed', reason: null, policy: 'pay/readers', ...changes,
});
const amounts = { count: 1, bytesReceived: 2, bytesSent: 3 };
const read = (file: string) => readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);

it('tells a request in one line of JSON with every field', async () => {
  const file = join(directory, 'access.log');
  const accessLog = new AccessLog(file, 1, 'node-"1"', new Clock(), log);
  const recorder = testRecorder(log, { accessLog });
  const trace = { ...recorder.tracer.begin(null), traceId: 'a'.repeat(32) };
  recorder.record({ facts: facts({ method: 'X"Y', path: '/a"\\\n\u2028é' }), amounts, trace, startedAt: performance.now(), status: 200 });
  await accessLog.close(5_000);
  const [line, ...more] = read(file);
  expect(more).toEqual([]);
  expect(line).toEqual({
    log: 'access', event: 'request', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string, proxy: 'node-"1"', side: 'inbound',
    principal: 'spiffe://t/ns/shop/sa/web', ip: '10.0.0.1', namespace: 'pay', workload: 'api', service: 'api', port: 80, protocol: 'http', method: 'X"Y',
    mtls: 'mutual', verdict: 'allowed', reason: null, policy: 'pay/readers', path: '/a"\\\n\u2028é', status: 200, durationMs: expect.any(Number) as number,
    bytesReceived: 2, bytesSent: 3, traceId: 'a'.repeat(32),
  });
});

it('tells every denial and failure, and of the allowed calls none or all', async () => {
  for (const [sample, allowed] of [[0, 0], [1, 50]] as const) {
    const file = join(directory, `${sample}.log`);
    const accessLog = new AccessLog(file, sample, 'p', new Clock(), log);
    const recorder = testRecorder(log, { accessLog });
    for (let i = 0; i < 50; i += 1) {
      recorder.record({ facts: facts(), amounts });
      recorder.record({ facts: facts({ verdict: 'denied', reason: 'policy-deny' }), amounts, status: 403 });
      recorder.record({ facts: facts({ verdict: 'failed', reason: 'upstream-unreachable' }), amounts, status: 503 });
    }
    await accessLog.close(5_000);
    const lines = read(file);
    expect(['allowed', 'denied', 'failed'].map((verdict) => lines.filter((line) => line['verdict'] === verdict).length)).toEqual([allowed, 50, 50]);
  }
});

it('tells the opening and the end of a connection', async () => {
  const file = join(directory, 'access.log');
  const accessLog = new AccessLog(file, 1, 'p', new Clock(), log);
  const recorder = testRecorder(log, { accessLog });
  const connection = facts({ protocol: 'tcp', method: null, path: null });
  recorder.record({ facts: connection, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
  recorder.ended({ facts: connection, startedAt: performance.now(), bytesReceived: 10, bytesSent: 20 });
  await accessLog.close(5_000);
  expect(read(file)).toMatchObject([{ event: 'open', durationMs: null, status: null, path: null, bytesSent: 0 }, { event: 'close', durationMs: expect.any(Number) as number, bytesReceived: 10, bytesSent: 20 }]);
});

it('goes on in a new file after the old one was moved, and loses no line', async () => {
  const file = join(directory, 'access.log');
  const accessLog = new AccessLog(file, 1, 'p', new Clock(), log);
  const recorder = testRecorder(log, { accessLog });
  recorder.record({ facts: facts({ path: '/1' }), amounts });
  await until('the first line', () => read(file).length === 1);
  renameSync(file, `${file}.1`);
  recorder.record({ facts: facts({ path: '/2' }), amounts });
  accessLog.reopen();
  await until('the new file', () => { try { return read(file); } catch { return null; } });
  recorder.record({ facts: facts({ path: '/3' }), amounts });
  await accessLog.close(5_000);
  expect([...read(`${file}.1`), ...read(file)].map((line) => line['path'])).toEqual(['/1', '/2', '/3']);
  expect(read(file).map((line) => line['path'])).toContain('/3');
});

it('says which file cannot be opened, and what to do', () => {
  expect(() => new AccessLog(join(directory, 'no', 'access.log'), 1, 'p', new Clock(), log)).toThrow(/cannot open the access log .*access\.log: ENOENT.*SALLYPORT_ACCESS_LOG/);
});

it('keeps nobody waiting when nobody reads, counts what had no room, and goes on when somebody does', async () => {
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Open for both: no reader is needed, and the pipe takes 64 KiB before it is full.
  const fd = openSync(pipe, 'r+');
  const writer = new LineWriter(() => fd, 'pipe', PIPE_PIECE, log);
  const line = (i: number) => `${JSON.stringify({ i, text: 'x'.repeat(1_000) })}\n`;
  for (let i = 0; i < 5_000; i += 1) writer.write(line(i));
  expect(writer.dropped).toBeGreaterThan(1_000);
  const reader = spawn('cat', [pipe]);
  let text = '';
  reader.stdout.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  const kept = 5_000 - writer.dropped;
  await until('every line that was kept', () => text.split('\n').length === kept + 1);
  expect(text).toBe(Array.from({ length: kept }, (_, i) => line(i)).join(''));
  writer.write('after\n');
  await until('the line after', () => text.endsWith('after\n'));
  await writer.close(5_000);
  reader.kill();
  await once(reader, 'close');
});

it('says once that a file cannot be written', async () => {
  const fd = openSync('/dev/full', 'a');
  const writer = new LineWriter(() => fd, 'the log', PIPE_PIECE, log);
  writer.write('one\n');
  await until('the failure', () => logs.length > 0);
  writer.write('two\n');
  await writer.close(5_000);
  expect(logs).toMatchObject([{ msg: 'the log cannot be written: lines are dropped', reason: expect.stringContaining('ENOSPC') as string }]);
  expect(writer.dropped).toBe(2);
  expect(() => closeSync(fd)).toThrow('EBADF');
});
