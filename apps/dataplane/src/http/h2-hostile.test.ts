import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countOf, until } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { framesOf, peerOf, type PeerOptions } from '../../test/peers.ts';
import { RawClient } from '../../test/raw-client.ts';
import { data, frame, GET, headers, POST, reset, settings, windowUpdate } from '../wire/h2/frames.fixture.ts';
import { FLAG, PREFACE, TYPE } from '../wire/h2/protocol.ts';

let pair: Pair;
let asked: number;
const peers: RawClient[] = [];

beforeEach(async () => {
  asked = 0;
  pair = await Pair.start('http', (mesh) => mesh.app((req, res) => {
    asked += 1;
    // Answers nothing in the time of a test, but to those who mean well.
    if (req.url === '/good') res.end('app');
  }), { hbone: '127.0.0.44' });
});
afterEach(async () => {
  for (const { socket } of peers.splice(0)) socket.destroy();
  await pair.mesh.close();
});

function keep(peer: RawClient): RawClient {
  peers.push(peer);
  return peer;
}

const ours = (pairs: readonly (readonly [string, string])[], path = '/') => pairs.map(([name, value]): [string, string] => (name === ':authority' ? [name, 'api.pay'] : name === ':path' ? [name, path] : [name, value]));
const id = (i: number) => i * 2 + 1;
const many = (count: number, make: (i: number) => Buffer): Buffer => Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
const get = (stream: number) => headers(stream, ours(GET));
const post = (stream: number) => headers(stream, ours(POST), 0);
/** RFC 7541 §2.3: a field of 4 KiB goes into the table, and each byte after that names it again: 64 KiB of head from 100 bytes. */
const bomb = Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x41, 1, 97, 0x40, 1, 97, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4_000, 98), Buffer.alloc(16_000 - 4_012, 0xbe)]);

const floods: [what: string, bytes: () => Buffer, says: RegExp][] = [
  ['rapid reset (CVE-2023-44487)', () => many(400, (i) => Buffer.concat([get(id(i)), reset(id(i), 8)])), /too many frames of one kind: reset/],
  ['resets that we are made to send (CVE-2025-8671)', () => many(400, (i) => Buffer.concat([post(id(i)), windowUpdate(id(i), 0)])), /reset/],
  ['a CONTINUATION flood (CVE-2024-27316)', () => Buffer.concat([frame(TYPE.HEADERS, 0, 1), many(20, () => frame(TYPE.CONTINUATION, 0, 1, Buffer.alloc(16_384)))]), /a header block without end/],
  ['CONTINUATION of nothing', () => Buffer.concat([frame(TYPE.HEADERS, 0, 1), many(40, () => frame(TYPE.CONTINUATION, 0, 1))]), /a header block without end/],
  ['HPACK bombs', () => many(400, (i) => frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id(i), bomb)), /reset/],
  ['a PING flood', () => many(400, () => frame(TYPE.PING, 0, 0, Buffer.alloc(8))), /ping/],
  ['a SETTINGS flood', () => many(100, () => settings()), /settings/],
  ['a WINDOW_UPDATE flood', () => many(4_000, () => windowUpdate(0, 1)), /windowUpdate/],
  ['DATA of nothing', () => Buffer.concat([post(1), many(400, () => data(1, ''))]), /empty/],
  ['PRIORITY frames', () => many(400, () => frame(TYPE.PRIORITY, 0, 1, [0, 0, 0, 3, 0])), /priority/],
  ['frames of no known type', () => many(2_000, () => frame(99, 0, 0)), /ignored/],
];

/** The GOAWAY with its reason, once it came. */
function farewell(peer: RawClient): string | undefined {
  return framesOf(peer).find((each) => each.startsWith('GOAWAY'));
}

const doors: [name: string, options: () => PeerOptions | null][] = [
  ['an inbound port by mutual TLS', () => ({ as: 'web' })],
  ['an inbound port in plaintext', () => ({})],
  ['an outbound listener', () => null],
];

describe.each(doors)('at %s', (_name, options) => {
  const connect = () => {
    const where = options();
    return keep(where === null ? new RawClient(pair.out) : peerOf(pair, where)).send(Buffer.concat([PREFACE, settings()]));
  };

  it.each(floods)('%s ends its connection, and no other', async (_what, bytes, says) => {
    const other = connect().send(headers(1, ours(GET, '/good')));
    await until('an answer', () => framesOf(other).some((each) => each.startsWith('DATA 1 ')));
    const peer = connect().send(bytes());
    const text = await peer.end();
    expect(farewell(peer)).toMatch(/ 11$/);
    expect(text).toMatch(says);
    other.send(headers(3, ours(GET, '/good')));
    await until('another answer', () => framesOf(other).some((each) => each.startsWith('DATA 3 ')));
    // What was asked for and taken back by the hundred did not all reach the application.
    expect(asked).toBeLessThan(300);
  });
});

it('counts each as a bad request where a peer sent it', async () => {
  const badRequests = async () => countOf(await pair.mesh.flows('b'), ({ reason, verdict }) => reason === 'bad-request' && verdict === 'denied');
  for (const [what, bytes] of floods) {
    const before = await badRequests();
    await keep(peerOf(pair, { as: 'web' })).send(Buffer.concat([PREFACE, settings(), bytes()])).end();
    expect(await badRequests() - before, what).toBeGreaterThan(0);
  }
});

const tunnels: [what: string, bytes: () => Buffer][] = [
  ['rapid reset', () => many(400, (i) => Buffer.concat([headers(id(i), [[':method', 'CONNECT'], [':authority', `${pair.address}:${pair.port}`]], 0), reset(id(i), 8)]))],
  ['DATA of nothing in a tunnel', () => Buffer.concat([headers(1, [[':method', 'CONNECT'], [':authority', `${pair.address}:${pair.port}`]], 0), many(400, () => data(1, ''))])],
  ...floods.filter(([what]) => !/reset|DATA/i.test(what)).map(([what, bytes]): [string, () => Buffer] => [what, bytes]),
];

it.each(tunnels)('at an HBONE port %s ends its connection, and no other', async (_what, bytes) => {
  const connect = () => keep(peerOf(pair, { as: 'web', to: pair.hbone, alpn: ['h2'] })).send(Buffer.concat([PREFACE, settings()]));
  const other = connect();
  other.send(headers(1, [[':method', 'CONNECT'], [':authority', `${pair.address}:${pair.port}`]], 0));
  const peer = connect().send(bytes());
  await peer.end();
  expect(farewell(peer)).toMatch(/ 11$/);
  other.send(data(1, 'GET /good HTTP/1.1\r\nHost: api.pay\r\n\r\n'));
  await until('an answer', () => other.text.includes('app'));
});
