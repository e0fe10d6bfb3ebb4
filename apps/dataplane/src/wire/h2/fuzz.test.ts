import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { field } from '../hpack/field.ts';
import { Connection } from './connection.ts';
import { block, data, frame, GET, headers, POST, reset, setting, settings, windowUpdate } from './frames.fixture.ts';
import { recording, silent } from './peer.fixture.ts';
import { FLAG, PREFACE, TYPE } from './protocol.ts';
import type { Stream } from './stream.ts';

const id = fc.constantFrom(0, 1, 3, 5, 7, 2);
const flags = fc.constantFrom(0, FLAG.END_STREAM, FLAG.PADDED, FLAG.END_HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM);
const fields = fc.constantFrom(GET, POST, [...POST, ['content-length', '3'] as const], [['a', 'b'] as const], [...GET, ['Bad', ''] as const], [[':status', '200'] as const]);
const anyFrame = fc.oneof(
  fc.tuple(id, fields, flags).map(([stream, pairs, flag]) => headers(stream, pairs, flag & FLAG.END_STREAM)),
  fc.tuple(id, fc.string({ maxLength: 40 }), flags).map(([stream, text, flag]) => data(stream, text, flag)),
  fc.tuple(id, fc.integer({ min: 0, max: 0x7fff_ffff })).map(([stream, increment]) => windowUpdate(stream, increment)),
  fc.tuple(id, fc.integer({ min: 0, max: 14 })).map(([stream, code]) => reset(stream, code)),
  fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 70_000 })).map(([name, value]) => settings(setting(name, value))),
  fc.tuple(id, fc.integer({ min: 0, max: 40 })).map(([stream, at]) => Buffer.concat([frame(TYPE.HEADERS, 0, stream, block(GET).subarray(0, at)), frame(TYPE.CONTINUATION, FLAG.END_HEADERS, stream, block(GET).subarray(at))])),
  fc.constant(frame(TYPE.PING, 0, 0, Buffer.alloc(8))),
  fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 255 }), id, fc.uint8Array({ maxLength: 20 })).map(([type, flag, stream, payload]) => frame(type, flag, stream, Buffer.from(payload))),
);

/** Gives the bytes in pieces and tells what the connection told and sent. */
function run(role: 'server' | 'client', pieces: readonly Buffer[]) {
  const { events, handler } = recording();
  const connection = new Connection<null>({ role }, handler);
  connection.start();
  if (role === 'client') for (let i = 0; i < 3; i += 1) connection.open([field(':method', 'GET')], i > 0);
  for (const piece of pieces) connection.receive(piece);
  return { events, sent: Buffer.concat(connection.takeOutput()).toString('hex') };
}

function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const result: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length]!;
    result.push(bytes.subarray(at, at + size));
    at += size;
  }
  return result;
}

const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 });

describe('whatever a peer sends', () => {
  it.each(['server', 'client'] as const)('a %s tells the same however the bytes are cut', (role) => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 15 }), sizes, (frames, cuts) => {
        const start = role === 'server' ? [PREFACE, settings()] : [settings()];
        const bytes = Buffer.concat([...start, ...frames]);
        expect(run(role, pieces(bytes, cuts))).toEqual(run(role, [bytes]));
      }),
      { numRuns: 1000 },
    );
  });

  it('random bytes end the connection at most, and are answered with little', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), (random, greeted) => {
        const { sent } = run('server', [...(greeted ? [PREFACE, settings()] : []), Buffer.from(random)]);
        expect(sent.length / 2).toBeLessThan(500 + random.length * 2);
      }),
      { numRuns: 1000 },
    );
  });
});

/** What a caller does with one stream: sizes of its writes, and whether it ends with trailers. */
const exchange = fc.record({ up: fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 6 }), down: fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 6 }), trailers: fc.boolean() });

/** One side's writing: goes on while it may, and again when it is told. */
class Writer {
  readonly connection: Connection<Writer>;
  readonly stream: Stream<Writer>;
  readonly left: Buffer[];
  readonly trailers: boolean;

  constructor(connection: Connection<Writer>, stream: Stream<Writer>, chunks: readonly number[], trailers: boolean) {
    this.connection = connection;
    this.stream = stream;
    this.left = chunks.map((size, i) => Buffer.alloc(size, i + 1));
    this.trailers = trailers;
    stream.owner = this;
  }

  go(): void {
    for (let next = this.left.shift(); next; next = this.left.shift()) if (!this.connection.write(this.stream, next, false)) return;
    if (this.trailers) this.connection.trailers(this.stream, [field('t', 'v')]);
    else this.connection.write(this.stream, Buffer.alloc(0), true);
  }
}

describe('two of our connections', () => {
  it('deliver every byte through small windows, whoever reads late, and leave nothing behind', () => {
    const shape = fc.record({ exchanges: fc.array(exchange, { minLength: 1, maxLength: 8 }), cuts: fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 5 }), late: fc.integer({ min: 0, max: 3 }) });
    fc.assert(
      fc.property(shape, ({ exchanges, cuts, late }) => {
        const results = new Map<string, number>();
        const debts: (() => void)[] = [];
        const options = { streamWindow: 65_535, connectionWindow: 70_000 };
        const take = (side: string, connection: Connection<Writer>, stream: Stream<Writer>, piece: Buffer): void => {
          const key = `${side} ${stream.id}`;
          results.set(key, (results.get(key) ?? 0) + piece.reduce((sum, byte) => sum + byte, 0));
          debts.push(() => connection.consume(stream, piece.length));
        };
        const client: Connection<Writer> = new Connection<Writer>({ ...options, role: 'client' }, { ...silent<Writer>(), onData: (stream, piece) => take('down', client, stream, piece), onDrain: (stream) => stream.owner?.go() });
        const server: Connection<Writer> = new Connection<Writer>({ ...options, role: 'server' }, {
          ...silent<Writer>(),
          onHeaders: (stream) => {
            server.respond(stream, [field(':status', '200')], false);
            const wanted = exchanges[(stream.id - 1) / 2]!;
            new Writer(server, stream, wanted.down, wanted.trailers).go();
          },
          onData: (stream, piece) => take('up', server, stream, piece),
          onDrain: (stream) => stream.owner?.go(),
        });
        client.start();
        server.start();
        for (const { up, trailers } of exchanges) {
          const stream = client.open([field(':method', 'POST'), field(':scheme', 'http'), field(':authority', 'a'), field(':path', '/')], false);
          if (stream) new Writer(client, stream, up, trailers).go();
        }
        for (let turn = 0; client.pendingBytes + server.pendingBytes + debts.length > 0; turn += 1) {
          const [toServer, toClient] = [Buffer.concat(client.takeOutput()), Buffer.concat(server.takeOutput())];
          for (const piece of pieces(toServer, cuts)) server.receive(Buffer.from(piece));
          for (const piece of pieces(toClient, cuts)) client.receive(Buffer.from(piece));
          if (turn % (late + 1) === 0) for (const pay of debts.splice(0)) pay();
        }
        const sum = (list: readonly number[]) => list.reduce((total, size, i) => total + size * (i + 1), 0);
        for (const [i, { up, down }] of exchanges.entries()) expect([results.get(`up ${i * 2 + 1}`) ?? 0, results.get(`down ${i * 2 + 1}`) ?? 0]).toEqual([sum(up), sum(down)]);
        expect([client.streamCount, server.streamCount]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });
});
