import { expect, it } from 'vitest';
import { field } from '../hpack/field.ts';
import { Connection } from './connection.ts';
import { data, described, greeted, headers, POST, reset, setting, settings, windowUpdate } from './frames.fixture.ts';
import { silent } from './peer.fixture.ts';
import { FLAG, PREFACE, SETTING } from './protocol.ts';
import type { Stream } from './stream.ts';

const HALF = 32_768;
const small = { streamWindow: 65_535, connectionWindow: 65_535 };

/** A server whose caller decides when it consumes. */
function holding() {
  const streams: Stream<null>[] = [];
  const connection = new Connection<null>({ ...small, role: 'server' }, { ...silent<null>(), onHeaders: (stream) => void streams.push(stream) });
  connection.receive(Buffer.concat([PREFACE, settings()]));
  connection.takeOutput();
  const halves = (id: number, flags = 0) => [data(id, 'x'.repeat(16_384)), data(id, 'x'.repeat(16_384), flags)];
  return { connection, streams, halves, output: () => described(connection.takeOutput()) };
}

it('gives back exactly what was consumed, when it is half of the window', () => {
  const { connection, streams, halves, output } = holding();
  connection.receive(headers(1, POST, 0));
  const [stream] = streams;
  for (let i = 0; i < 20; i += 1) {
    connection.receive(Buffer.concat(halves(1)));
    expect(output()).toEqual([]);
    connection.consume(stream!, HALF - 1);
    connection.consume(stream!, 1);
    expect(output()).toEqual([`WINDOW_UPDATE 0 ${HALF}`, `WINDOW_UPDATE 1 ${HALF}`]);
  }
});

it('gives nothing back to a stream that ended, and no more than there was', () => {
  const { connection, streams, halves, output } = holding();
  connection.receive(Buffer.concat([headers(1, POST, 0), ...halves(1, FLAG.END_STREAM)]));
  connection.consume(streams[0]!, 10 * HALF);
  connection.consume(streams[0]!, HALF);
  expect(output()).toEqual([`WINDOW_UPDATE 0 ${HALF}`]);
});

it.each<[what: string, end: (connection: Connection<null>, stream: Stream<null>) => void, frames: string[]]>([
  ['the peer resets', (connection) => connection.receive(reset(1, 8)), []],
  ['we reset', (connection, stream) => connection.reset(stream, 8), ['RST_STREAM 1 8']],
])('what nobody read goes back to the connection when %s', (_, end, frames) => {
  const { connection, streams, halves, output } = holding();
  connection.receive(Buffer.concat([headers(1, POST, 0), ...halves(1)]));
  end(connection, streams[0]!);
  expect(output()).toEqual([`WINDOW_UPDATE 0 ${HALF}`, ...frames]);
  connection.consume(streams[0]!, HALF);
  expect(output()).toEqual([]);
});

it('sends no more than both windows allow, in turn, and the end with the last byte', () => {
  const { connection, output } = greeted('client');
  connection.receive(settings(setting(SETTING.INITIAL_WINDOW_SIZE, 40_000)));
  const streams = [1, 3].map(() => connection.open([field(':method', 'POST')], false));
  for (const stream of streams) expect(connection.write(stream!, Buffer.alloc(50_000), true)).toBe(false);
  const sent = output().filter((each) => each.startsWith('DATA'));
  expect(sent).toEqual(['DATA 1 16384', 'DATA 1 16384', 'DATA 1 7232', 'DATA 3 16384', 'DATA 3 9151']);
  connection.receive(Buffer.concat([windowUpdate(0, 100_000), windowUpdate(1, 10_000), windowUpdate(3, 5_000)]));
  expect(output()).toEqual(['DATA 3 14465', 'DATA 1 10000 end', 'DATA 3 5000']);
  connection.receive(settings(setting(SETTING.INITIAL_WINDOW_SIZE, 0)));
  connection.receive(windowUpdate(3, 40_000));
  expect(output()).toEqual(['SETTINGS 0 0 ack']);
  connection.receive(windowUpdate(3, 5_000));
  expect(output()).toEqual(['DATA 3 5000 end']);
});

it('takes turns between streams that wait for the connection', () => {
  const { connection, output } = greeted('client');
  const streams = [1, 3, 5].map(() => connection.open([field(':method', 'POST')], false));
  for (const stream of streams) connection.write(stream!, Buffer.alloc(60_000), true);
  output();
  connection.receive(windowUpdate(0, 16_384 * 4));
  expect(output()).toEqual(['DATA 3 16384', 'DATA 5 16384', 'DATA 3 16384', 'DATA 5 16384']);
});

it('keeps data in its stream while nobody takes the output', () => {
  const { connection } = greeted('client');
  connection.receive(Buffer.concat([settings(setting(SETTING.INITIAL_WINDOW_SIZE, 10_000_000)), windowUpdate(0, 10_000_000)]));
  const stream = connection.open([field(':method', 'POST')], false);
  expect(connection.write(stream!, Buffer.alloc(4_000_000), true)).toBe(false);
  expect(connection.pendingBytes).toBeLessThan(300_000);
  let total = 0;
  for (let pieces = connection.takeOutput(); pieces.length > 0; pieces = connection.takeOutput()) total += pieces.reduce((sum, { length }) => sum + length, 0);
  expect(total).toBeGreaterThan(4_000_000);
});

it('opens a tunnel with these bytes, as ztunnel would read them', () => {
  const connection = new Connection<null>({ role: 'client', ...small }, silent<null>());
  connection.start();
  const tunnel = connection.open([field(':method', 'CONNECT'), field(':authority', '10.0.0.7:8080')], false);
  connection.write(tunnel!, Buffer.from('hi'), true);
  const wanted = [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').toString('hex'),
    // INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE, ENABLE_PUSH.
    '000012 04 00 00000000',
    '0004 0000ffff 0006 00010000 0002 00000000',
    // Two literals whose names are in the static table, which no table keeps at first.
    '000018 01 04 00000001',
    `02 07 ${Buffer.from('CONNECT').toString('hex')} 01 0d ${Buffer.from('10.0.0.7:8080').toString('hex')}`,
    '000002 00 01 00000001 6869',
  ];
  expect(Buffer.concat(connection.takeOutput()).toString('hex')).toBe(wanted.join('').replaceAll(' ', ''));
});
