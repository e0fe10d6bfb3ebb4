import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { peerOf } from '../../test/peers.ts';
import { RawClient } from '../../test/raw-client.ts';

let pair: Pair;
/** Paths that the application was asked for. */
const asked: string[] = [];
const peers: RawClient[] = [];

beforeAll(async () => {
  pair = await Pair.start('http', (mesh) => mesh.app((req, res) => {
    asked.push(req.url ?? '');
    req.resume().on('end', () => res.end('app'));
  }, { maxHeaderSize: 100_000 }));
});
afterAll(() => pair.mesh.close());
afterEach(() => {
  for (const { socket } of peers.splice(0)) socket.destroy();
  asked.length = 0;
});

const ports: [name: string, connect: () => RawClient][] = [
  ['an inbound port by mutual TLS', () => peerOf(pair, { as: 'web' })],
  ['an inbound port in plaintext', () => peerOf(pair)],
  ['an outbound listener', () => new RawClient(pair.out)],
];

function connect(make: () => RawClient): RawClient {
  const peer = make();
  peers.push(peer);
  return peer;
}

const ANSWER = /^HTTP\/1\.1 \d/gm;
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: api.pay\r\n\r\n';
const post = (lines: string, body = `0\r\n\r\n${HIDDEN}`) => `POST /seen HTTP/1.1\r\nHost: api.pay\r\n${lines}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', `${body}${HIDDEN}`);

/** Messages that two readers could take for different ones, each with a request hidden behind it. */
const vectors: [what: string, bytes: string, status: number][] = [
  ['both lengths', post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['both lengths, the other way round', post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n'), 400],
  ['two lengths', post('Content-Length: 0\r\nContent-Length: 5\r\n'), 400],
  ['the same length twice', post('Content-Length: 5\r\nContent-Length: 5\r\n'), 400],
  ['a list of lengths', post('Content-Length: 5, 5\r\n'), 400],
  ['a length with a sign', post('Content-Length: +5\r\n'), 400],
  ['a length in hex', post('Content-Length: 0x5\r\n'), 400],
  ['a length beyond what numbers hold', post('Content-Length: 18446744073709551621\r\n'), 400],
  ['a length of nothing', post('Content-Length: \r\n'), 400],
  ['a folded header', post('X: a\r\n Content-Length: 5\r\n'), 400],
  ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n'), 400],
  ['a bare LF', post('X: a\nContent-Length: 5\r\n'), 400],
  ['a bare LF at the end of a head', 'GET /seen HTTP/1.1\r\nHost: api.pay\n\nGET /hidden HTTP/1.1\r\n\r\n', 400],
  ['a bare CR', post('X: a\rContent-Length: 5\r\n'), 400],
  ['a space before the colon', post('Content-Length : 5\r\n'), 400],
  ['a tab before the colon', post('Transfer-Encoding\t: chunked\r\n'), 400],
  ['a space before the first header', `GET /seen HTTP/1.1\r\n Host: api.pay\r\n\r\n${HIDDEN}`, 400],
  ['a NUL in a value', post('X: a\0b\r\n'), 400],
  ['a NUL in a name', post('X\0: a\r\n'), 400],
  ['a name that is no token', post('Content-Length\x01: 5\r\n'), 400],
  ['no name', post(': 5\r\n'), 400],
  ['two codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['an unknown coding', post('Transfer-Encoding: xchunked\r\n'), 501],
  ['chunked that is not last', post('Transfer-Encoding: chunked, identity\r\n'), 501],
  ['a coding with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n'), 400],
  ['a coding on HTTP/1.0', `POST /seen HTTP/1.0\r\nHost: api.pay\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['two hosts', post('Host: other\r\n'), 400],
  ['two spaces in the request line', `GET  /seen HTTP/1.1\r\nHost: api.pay\r\n\r\n${HIDDEN}`, 400],
  ['a target with a space', `GET /se en HTTP/1.1\r\nHost: api.pay\r\n\r\n${HIDDEN}`, 400],
  ['a target with a NUL', `GET /se\0en HTTP/1.1\r\nHost: api.pay\r\n\r\n${HIDDEN}`, 400],
  ['a version of three digits', `GET /seen HTTP/1.10\r\nHost: api.pay\r\n\r\n${HIDDEN}`, 400],
  ['HTTP/2.0 in words', `GET /seen HTTP/2.0\r\nHost: api.pay\r\n\r\n${HIDDEN}`, 505],
  ['more than 100 headers', `GET /seen HTTP/1.1\r\nHost: api.pay\r\n${'A: b\r\n'.repeat(100)}\r\n${HIDDEN}`, 431],
  ['a head of 64 KiB', `GET /seen HTTP/1.1\r\nHost: api.pay\r\n${`A: ${'b'.repeat(8_000)}\r\n`.repeat(9)}\r\n${HIDDEN}`, 431],
  ['a head without end', `GET /seen HTTP/1.1\r\nHost: api.pay\r\nA: ${'b'.repeat(70_000)}`, 431],
];

/** As above in the body: the request that it is of may have begun. */
const chunks: [what: string, bytes: string][] = [
  ['a size of nothing', chunked('\r\n')],
  ['a size that is none', chunked('x\r\na\r\n')],
  ['a size with a sign', chunked('+1\r\na\r\n')],
  ['a size as C writes it', chunked('0x1\r\na\r\n')],
  ['a size beyond what numbers hold', chunked('10000000000000001\r\na\r\n')],
  ['a space before a size', chunked(' 1\r\na\r\n')],
  ['a size that ends in LF', chunked('1\na\r\n0\r\n\r\n')],
  ['a LF in an extension', chunked('1;a\nb\r\na\r\n0\r\n\r\n')],
  ['a chunk longer than its size', chunked('1\r\nab\r\n0\r\n\r\n')],
  ['a chunk without its CRLF', chunked('1\r\na0\r\n\r\n')],
  ['a trailer that is folded', chunked('0\r\nA: b\r\n c\r\n\r\n')],
  ['a trailer with a bare LF', chunked('0\r\nA: b\n\r\n')],
];

describe.each(ports)('%s', (_name, make) => {
  it.each(vectors)('refuses %s, closes, and reads nothing behind it', async (_what, bytes, status) => {
    const text = await connect(make).send(bytes).end();
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*connection: close\\r\\n`));
    expect(text.match(ANSWER)?.length).toBe(1);
    expect(asked).toEqual([]);
  });

  it.each(chunks)('refuses %s in a body, closes, and reads nothing behind it', async (_what, bytes) => {
    const text = await connect(make).send(bytes).end();
    expect(text).toMatch(/^HTTP\/1\.1 400 [^]*connection: close\r\n/);
    expect(text.match(ANSWER)?.length).toBe(1);
    expect(asked).not.toContain('/hidden');
  });

  it('refuses them byte by byte just so', async () => {
    const peer = connect(make);
    peer.socket.setNoDelay(true);
    for (const byte of post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')) {
      peer.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await peer.end()).toMatch(/^HTTP\/1\.1 400 /);
    expect(asked).toEqual([]);
  });

  it('takes 100 headers, and a head that is just small enough', async () => {
    const peer = connect(make).send(`GET /a HTTP/1.1\r\nHost: api.pay\r\n${'A: b\r\n'.repeat(99)}\r\nGET /b HTTP/1.1\r\nHost: api.pay\r\n${`A: ${'b'.repeat(7_900)}\r\n`.repeat(7)}\r\n`);
    await until('both answers', () => asked.length === 2 && peer.text.split('app').length === 3);
    expect(asked).toEqual(['/a', '/b']);
  });
});

it('counts each as a bad request where a peer sent it', async () => {
  const badRequests = async () => (await pair.mesh.flows('b')).filter(({ reason }) => reason === 'bad-request').reduce((sum, { count }) => sum + count, 0);
  const before = await badRequests();
  await connect(() => peerOf(pair, { as: 'web' })).send(vectors[0]![1]).end();
  expect(await badRequests()).toBe(before + 1);
});
