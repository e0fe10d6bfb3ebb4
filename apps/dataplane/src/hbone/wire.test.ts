import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { type KeyedCertificate, TestCa, TRUST_DOMAIN } from '../../test/certificates.ts';
import { until } from '../../test/mesh.ts';
import type { PeerConnection } from '../listener/inbound-port.ts';
import { described, headers } from '../wire/h2/frames.fixture.ts';
import { AUTHORITY, CLIENT, Collector, SERVER, startServer, type TestServer } from './peers.fixture.ts';

/**
 * Istio's description of HBONE (istio.io, "Ambient and HBONE": HTTP CONNECT over HTTP/2 in mutual TLS, port 15008) as the
 * bytes of a peer like ztunnel: its large windows and frames, and headers that it may send. Made by hand from RFC 9113 and 7541.
 */
const CONNECT = [
  '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a', // the preface
  '000012 04 00 00000000 000200000000 000400400000 000500100000', // SETTINGS: no push, windows of 4 MiB, frames of 1 MiB
  '000004 08 00 00000000 00ff0001', // WINDOW_UPDATE: 16 MiB for the connection
  '00009f 01 04 00000001', // HEADERS, END_HEADERS
  '42 07 434f4e4e454354', // :method CONNECT
  '41 0e 3132372e302e302e373a38303830', // :authority 127.0.0.7:8080
  '00 07 62616767616765 13 6b38732e636c75737465722e6e616d653d6331', // baggage
  '00 09 666f72776172646564 18 666f723d31302e392e392e393b62793d31302e302e302e37', // forwarded, which nobody believes
  '00 0b 7472616365706172656e74 37 30302d30616637363531393136636434336464383434386562323131633830333139632d623761643662373136393230333333312d3031',
];
const ACK = '000000 04 01 00000000';
const HELLO = '000005 00 00 00000001 68656c6c6f'; // DATA "hello"
const BYE = '000003 00 01 00000001 627965'; // DATA "bye", END_STREAM

/** What our server answers, byte for byte. */
const OPENED = [
  '000012 04 00 00000000 000400040000 000600010000 000300000100', // SETTINGS: windows of 256 KiB, heads of 64 KiB, 256 streams
  '000004 08 00 00000000 03ff0001', // WINDOW_UPDATE: 64 MiB for the connection
  ACK,
  '000001 01 04 00000001 88', // HEADERS: 200
];
const ECHOED = '000005 00 00 00000001 48454c4c4f'; // DATA "HELLO"
const ENDED = ['000003 00 00 00000001 425945', '000000 00 01 00000001']; // DATA "BYE", then END_STREAM

const bytes = (...hex: readonly string[]): Buffer => Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');

const ca = new TestCa();
let hbone: TestServer;
const accepted: PeerConnection[] = [];

afterEach(async () => {
  accepted.length = 0;
  await hbone.server.retire();
  await hbone.server.close(0);
});

/** Gives back in capitals what comes, and ends after its peer. */
function shout(connection: PeerConnection): void {
  accepted.push(connection);
  const user = new Collector();
  user.onChunk = (chunk) => void connection.link.write(Buffer.from(chunk.toString().toUpperCase()));
  user.onEnd = () => connection.link.end();
  connection.link.attach(user);
}

interface Peer {
  readonly socket: tls.TLSSocket;
  received: Buffer;
  closed: boolean;
}

function connect(identity: Partial<KeyedCertificate>, options: tls.ConnectionOptions = {}): Peer {
  const socket = tls.connect({ host: AUTHORITY.address, port: hbone.port, ...identity, ca: ca.root, servername: '', checkServerIdentity: () => undefined, ALPNProtocols: ['h2'], ...options });
  const peer: Peer = { socket, received: Buffer.alloc(0), closed: false };
  socket.on('data', (chunk: Buffer) => {
    peer.received = Buffer.concat([peer.received, chunk]);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    peer.closed = true;
  });
  return peer;
}

it('answers a peer like ztunnel frame for frame', async () => {
  hbone = await startServer(ca, shout);
  const peer = connect(ca.leaf(CLIENT));
  peer.socket.write(bytes(...CONNECT));
  const opened = bytes(...OPENED);
  await until('the stream', () => peer.received.length >= opened.length);
  expect(peer.received.toString('hex')).toBe(opened.toString('hex'));
  peer.socket.write(bytes(ACK, HELLO));
  const echoed = bytes(...OPENED, ECHOED);
  await until('the echo', () => peer.received.length >= echoed.length);
  peer.socket.write(bytes(BYE));
  const all = bytes(...OPENED, ECHOED, ...ENDED);
  await until('the end', () => peer.received.length >= all.length);
  expect(peer.received.toString('hex')).toBe(all.toString('hex'));
  expect(accepted).toMatchObject([{ principal: CLIENT, ip: '127.0.0.1', localIp: AUTHORITY.address }]);
  expect(hbone.server.open).toEqual({ connections: 1, streams: 0 });
  peer.socket.destroy();
});

/** The greeting alone, then a request of ours. */
const greeting = bytes(...CONNECT.slice(0, 3));
const refusals: [string, readonly (readonly [string, string])[], string][] = [
  ['an authority that is not served here', [[':method', 'CONNECT'], [':authority', '127.0.0.8:8080']], '404'],
  ['a name in the place of the address', [[':method', 'CONNECT'], [':authority', 'db.pay:8080']], '404'],
  ['a port that takes plaintext only', [[':method', 'CONNECT'], [':authority', '127.0.0.7:9090']], '403'],
  ['a request that is no tunnel', [[':method', 'GET'], [':scheme', 'http'], [':authority', '127.0.0.7:8080'], [':path', '/']], '405'],
];
it.each(refusals)('refuses %s', async (_name, fields, status) => {
  hbone = await startServer(ca, shout);
  const peer = connect(ca.leaf(CLIENT));
  peer.socket.write(Buffer.concat([greeting, headers(1, fields, 0)]));
  await until('the reset', () => described([peer.received]).some((each) => each.startsWith('RST_STREAM')));
  expect(described([peer.received]).find((each) => each.startsWith('HEADERS'))).toMatch(/^HEADERS 1 \d+ end$/);
  // Static table: 404 is one byte; the others are texts.
  expect(status === '404' ? peer.received.includes(0x8d) : peer.received.includes(status)).toBe(true);
  expect(accepted).toEqual([]);
  peer.socket.destroy();
});

it('bears a few refused requests, and not a flood of them, whatever they are refused for', async () => {
  hbone = await startServer(ca, shout);
  const flood = (count: number) => Array.from({ length: count }, (_, n) => headers(n * 2 + 1, refusals[n % refusals.length]?.[1], 0));
  const [few, many] = [connect(ca.leaf(CLIENT)), connect(ca.leaf(CLIENT))];
  few.socket.write(Buffer.concat([greeting, ...flood(150)]));
  many.socket.write(Buffer.concat([greeting, ...flood(2_000)]));
  await until('the close', () => many.closed);
  expect(described([many.received]).at(-1)).toMatch(/^GOAWAY \d+ 11$/);
  await until('all answers', () => described([few.received]).filter((each) => each.startsWith('RST_STREAM')).length === 150);
  few.socket.write(Buffer.concat([headers(301, [[':method', 'CONNECT'], [':authority', '127.0.0.7:8080']], 0)]));
  await until('the stream', () => accepted.length === 1);
  few.socket.destroy();
});

describe('handshake', () => {
  const peers: [string, () => Partial<KeyedCertificate>, tls.ConnectionOptions, RegExp][] = [
    ['nobody', () => ({}), {}, /PEER_DID_NOT_RETURN_A_CERTIFICATE/],
    ['a foreign root', () => new TestCa('foreign').leaf(CLIENT), {}, /certificate chain: (SELF_SIGNED|UNABLE_TO)/],
    ['a proxy’s own identity', () => ca.leaf(proxySpiffeId(TRUST_DOMAIN, 'a')), {}, /not a workload identity/],
    ['another trust domain under our root', () => ca.leaf(CLIENT.replace(TRUST_DOMAIN, 'other.test')), {}, /another trust domain/],
    ['a peer that says nothing of HTTP/2', () => ca.leaf(CLIENT), { ALPNProtocols: [] }, /does not speak h2/],
    ['a peer that speaks something else', () => ca.leaf(CLIENT), { ALPNProtocols: ['http/1.1'] }, /NO_APPLICATION_PROTOCOL/],
  ];
  it.each(peers)('refuses %s, saying why', async (_name, identity, options, reason) => {
    hbone = await startServer(ca, shout);
    const peer = connect(identity(), options);
    peer.socket.write(bytes(...CONNECT));
    await until('the close', () => peer.closed);
    const line = await until('the log', () => hbone.logs.find(({ msg }) => msg === 'handshake refused'));
    expect(line).toMatchObject({ handshake: expect.stringMatching(reason) as string, namespace: 'pay', workload: 'db' });
    expect(accepted).toEqual([]);
  });

  it('takes no plaintext', async () => {
    hbone = await startServer(ca, shout);
    const peer = connect(ca.leaf(SERVER));
    peer.socket.write(bytes(...CONNECT));
    await until('a peer with our own identity', () => accepted.length === 1);
    expect(accepted[0]?.principal).toBe(SERVER);
    peer.socket.destroy();
  });
});
