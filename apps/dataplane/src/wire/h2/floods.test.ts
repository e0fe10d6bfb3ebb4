import { describe, expect, it } from 'vitest';
import { field } from '../hpack/field.ts';
import { Connection } from './connection.ts';
import { data, frame, greeted, headers, POST, reset, settings, windowUpdate } from './frames.fixture.ts';
import { silent } from './peer.fixture.ts';
import { FLAG, PREFACE, TYPE } from './protocol.ts';
import type { Stream } from './stream.ts';

const CONNECT = [[':method', 'CONNECT'], [':authority', '127.0.0.1:80']] as const;
const id = (i: number) => i * 2 + 1;
const many = (count: number, make: (i: number) => Buffer): Buffer[] => Array.from({ length: count }, (_, i) => make(i));

describe('floods end the connection with ENHANCE_YOUR_CALM', () => {
  const pings = (count: number) => many(count, () => frame(TYPE.PING, 0, 0, Buffer.alloc(8)));
  it.each<[what: string, enough: Buffer[]]>([
    ['rapid reset (CVE-2023-44487)', many(201, (i) => Buffer.concat([headers(id(i)), reset(id(i), 8)]))],
    ['resets that we are made to send (CVE-2025-8671)', many(201, (i) => Buffer.concat([headers(id(i), POST, 0), windowUpdate(id(i), 0)]))],
    ['malformed requests', many(201, (i) => headers(id(i), []))],
    ['streams beyond the limit', many(302, (i) => headers(id(i), POST, 0))],
    ['CONTINUATION frames of nothing (CVE-2019-9518)', [frame(TYPE.HEADERS, 0, 1), ...many(16, () => frame(TYPE.CONTINUATION, 0, 1))]],
    ['CONTINUATION without end (CVE-2024-27316)', [frame(TYPE.HEADERS, 0, 1), ...many(5, () => frame(TYPE.CONTINUATION, 0, 1, Buffer.alloc(16_384)))]],
    ['PING', pings(101)],
    ['PING acknowledgements', many(101, () => frame(TYPE.PING, FLAG.ACK, 0, Buffer.alloc(8)))],
    ['SETTINGS', many(21, () => settings())],
    ['GOAWAY', many(21, () => frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(8)))],
    ['WINDOW_UPDATE', many(2001, () => windowUpdate(0, 1))],
    ['DATA of nothing', [headers(1, POST, 0), ...many(101, () => data(1, ''))]],
    ['DATA of padding alone', [headers(1, POST, 0), ...many(101, () => frame(TYPE.DATA, FLAG.PADDED, 1, [1, 0]))]],
    ['PRIORITY', many(201, () => frame(TYPE.PRIORITY, 0, 1, [0, 0, 0, 3, 0]))],
    ['unknown frames', many(1001, () => frame(99, 0, 0))],
    ['frames to closed streams', [headers(1, POST, 0), reset(1, 8), ...many(1001, () => reset(1, 8))]],
  ])('%s', (_, enough) => {
    const before = greeted('server');
    before.connection.receive(Buffer.concat(enough.slice(0, -2)));
    expect(before.events.filter((event) => event.startsWith('closed'))).toEqual([]);
    const { connection, events, output } = greeted('server');
    connection.receive(Buffer.concat(enough));
    expect(events.at(-1)).toMatch(/^closed 11 /);
    expect(output().at(-1)).toEqual('GOAWAY 0 11');
  });

  it('but the same at a bearable rate does not', () => {
    const { connection, events } = greeted('server');
    for (let second = 0; second < 100; second += 1) {
      connection.receive(Buffer.concat(pings(10)));
      for (let i = 0; i < 20; i += 1) connection.receive(Buffer.concat([headers(id(second * 20 + i)), reset(id(second * 20 + i), 8)]));
      connection.takeOutput();
      connection.elapsed(1);
    }
    expect(events.filter((event) => event.startsWith('closed'))).toEqual([]);
  });

  it('nor do the pings and window updates that gRPC sends for the data it gets', () => {
    const { connection, events } = greeted('client');
    const stream = connection.open([field(':method', 'POST')], false);
    for (let i = 0; i < 5000; i += 1) {
      connection.write(stream!, Buffer.alloc(100), false);
      connection.receive(Buffer.concat([...pings(1), windowUpdate(0, 100), windowUpdate(1, 100)]));
      connection.takeOutput();
    }
    expect(events).toEqual([]);
  });

  it('nor resets after the answer', () => {
    const closed: number[] = [];
    const connection: Connection<null> = new Connection<null>({ role: 'server' }, {
      ...silent<null>(),
      onHeaders: (stream) => connection.respond(stream, [field(':status', '204')], true),
      onClosed: (code) => closed.push(code),
    });
    connection.receive(Buffer.concat([PREFACE, settings(), ...many(2000, (i) => Buffer.concat([headers(id(i), POST, 0), reset(id(i), 8)]))]));
    expect([closed, connection.streamCount]).toEqual([[], 0]);
  });

  /** A thousand tunnels on one connection, each with what `use` does before it is reset. */
  function tunnels(use: (connection: Connection<null>, stream: Stream<null>) => void, sent: (id: number) => Buffer = () => Buffer.alloc(0)): number[] {
    const closed: number[] = [];
    const connection: Connection<null> = new Connection<null>({ role: 'server', streamWindow: 65_535 }, {
      ...silent<null>(),
      onHeaders: (stream) => {
        connection.respond(stream, [field(':status', '200')], false);
        use(connection, stream);
      },
      onData: (stream, { length }) => connection.consume(stream, length),
      onClosed: (code) => closed.push(code),
    });
    connection.start();
    connection.receive(Buffer.concat([PREFACE, settings()]));
    for (let i = 0; i < 1000; i += 1) {
      connection.receive(Buffer.concat([headers(id(i), CONNECT, 0), sent(id(i)), reset(id(i), 8)]));
      connection.takeOutput();
    }
    return closed;
  }
  const say = (connection: Connection<null>, stream: Stream<null>) => void connection.write(stream, Buffer.from('x'), false);
  const nothing = () => undefined;

  it('nor resets of tunnels in use: whoever aborts its TCP calls does not end those of others', () => {
    expect(tunnels(say)).toEqual([]);
    expect(tunnels(nothing, (stream) => Buffer.concat(many(3, () => data(stream, 'x'.repeat(16_000)))))).toEqual([]);
  });

  it('but resets of tunnels that nobody used do, though we opened them and the peer sent a byte', () => {
    expect(tunnels(nothing)).toEqual([11]);
    expect(tunnels(nothing, (stream) => data(stream, 'x'))).toEqual([11]);
  });

  it('nor resets in the middle of an answer', () => {
    const closed: number[] = [];
    const connection: Connection<null> = new Connection<null>({ role: 'server' }, {
      ...silent<null>(),
      onHeaders: (stream) => connection.respond(stream, [field(':status', '200')], false),
      onClosed: (code) => closed.push(code),
    });
    connection.receive(Buffer.concat([PREFACE, settings(), ...many(2000, (i) => Buffer.concat([headers(id(i)), reset(id(i), 8)]))]));
    expect([closed, connection.streamCount]).toEqual([[], 0]);
  });

  it('and a request that finished earns another reset', () => {
    const closed: string[] = [];
    const connection: Connection<null> = new Connection<null>({ role: 'server' }, {
      ...silent<null>(),
      onHeaders: (stream, _, end) => {
        if (end) connection.respond(stream, [field(':status', '204')], true);
      },
      onClosed: (code) => closed.push(`closed ${code}`),
    });
    connection.receive(Buffer.concat([PREFACE, settings()]));
    const pair = (i: number) => Buffer.concat([headers(id(i)), headers(id(i + 1), POST, 0), reset(id(i + 1), 8)]);
    for (let i = 0; i < 4000; i += 2) connection.receive(pair(i));
    expect(closed).toEqual([]);
    for (let i = 4000; i < 4202; i += 1) connection.receive(Buffer.concat([headers(id(i), POST, 0), reset(id(i), 8)]));
    expect(closed).toEqual(['closed 11']);
  });
});
