import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { framesOf, peerOf } from '../../test/peers.ts';
import type { RawClient } from '../../test/raw-client.ts';
import { data, GET, headers, POST, settings } from '../wire/h2/frames.fixture.ts';
import { PREFACE } from '../wire/h2/protocol.ts';

const HEAD = 'GET / HTTP/1.1\r\nHost: api.pay\r\n\r\n';
const LARGE = 50 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'x');
/** What both proxies and the kernel may hold of an answer that nobody reads: much less than all of it. */
const HELD = 16 * 1024 * 1024;

let pair: Pair;
let seen: { written: number; read: number; closed: number };
const peers: RawClient[] = [];

/** The seconds of connections are told by hand here; sockets and proxies are real. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  seen = { written: 0, read: 0, closed: 0 };
});
afterEach(async () => {
  for (const { socket } of peers.splice(0)) socket.destroy();
  await pair.mesh.close();
  vi.useRealTimers();
});

const start = () => Pair.start('http', (mesh) => mesh.app((req, res) => {
  req.on('data', ({ length }: Buffer) => (seen.read += length)).on('end', () => req.url !== '/large' && res.end('app'));
  if (req.url === '/') return;
  res.on('close', () => (seen.closed += 1));
  if (req.url !== '/large') return;
  const more = () => {
    while (seen.written < LARGE) {
      seen.written += PIECE.length;
      if (!res.write(PIECE)) return;
    }
    res.end();
  };
  res.on('drain', more);
  more();
}));

function seconds(count: number): void {
  vi.advanceTimersByTime(count * 1_000);
}

function keep(peer: RawClient): RawClient {
  peers.push(peer);
  return peer;
}

async function othersAreServed(): Promise<void> {
  const peer = keep(peerOf(pair, { as: 'web' })).send(HEAD);
  expect(await peer.gets('app')).toContain('200 OK');
  peer.socket.destroy();
}

/** Waits until the application is not let go on. */
async function stopped(): Promise<number> {
  let before = -1;
  await until('the application to wait', async () => {
    if (seen.written > 0 && seen.written === before) return true;
    before = seen.written;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return false;
  });
  return seen.written;
}

const h2 = (...frames: Buffer[]): Buffer => Buffer.concat([PREFACE, settings(), ...frames]);
const head = (path: string, pairs: readonly (readonly [string, string])[] = GET) => pairs.map(([name, value]): [string, string] => (name === ':path' ? [name, path] : name === ':authority' ? [name, 'api.pay'] : [name, value]));

describe('a caller that reads nothing of 50 MB', () => {
  const callers: [what: string, connect: () => RawClient, ask: Buffer][] = [
    ['by mutual TLS', () => peerOf(pair, { as: 'web' }), Buffer.from(HEAD.replace('/ ', '/large '))],
    ['in plaintext', () => peerOf(pair), Buffer.from(HEAD.replace('/ ', '/large '))],
    ['by HTTP/2', () => peerOf(pair), h2(headers(1, head('/large')))],
  ];
  it.each(callers)('holds little memory, and is given up after 300 s: %s', async (_, connect, ask) => {
    pair = await start();
    const peer = keep(connect());
    peer.send(ask).socket.pause();
    expect(await stopped()).toBeLessThan(HELD);
    await othersAreServed();
    seconds(310);
    await until('the application to be told', () => seen.closed === 1);
  });

  it('by HTTP/2 that goes on answering pings has its stream reset and its connection kept', async () => {
    pair = await start();
    const peer = keep(peerOf(pair)).send(h2(headers(1, head('/large'))));
    await stopped();
    for (let i = 0; i < 40; i += 1) {
      seconds(8);
      peer.send(settings());
      const { bytesWritten } = peer.socket;
      await until('the frame to be read', () => peer.socket.bytesWritten === bytesWritten && framesOf(peer).filter((frame) => frame === 'SETTINGS 0 0 ack').length > i);
    }
    await until('the reset', () => framesOf(peer).includes('RST_STREAM 1 8'));
    await until('the application to be told', () => seen.closed === 1);
    peer.send(headers(3, head('/')));
    await until('another answer', () => framesOf(peer).some((frame) => frame.startsWith('HEADERS 3 ')));
  });
});

describe('slowloris', () => {
  const trickle: [what: string, begin: Buffer, piece: Buffer, says: RegExp][] = [
    ['of HTTP/1.1', Buffer.from('GET / HT'), Buffer.from('x'), /^HTTP\/1\.1 408 /],
    ['of header lines', Buffer.from('GET / HTTP/1.1\r\n'), Buffer.from('A: b\r\n'), /^HTTP\/1\.1 408 /],
    ['of HTTP/2', Buffer.concat([h2(), headers(1, head('/')).subarray(0, 12)]), Buffer.alloc(1), /the rest of a head takes too long/],
    ['of what must follow a preface', PREFACE, Buffer.alloc(1), /the rest of a head takes too long/],
  ];
  it.each(trickle)('%s is closed, and others are served', async (_, begin, piece, says) => {
    pair = await start();
    const all = Array.from({ length: 50 }, () => keep(peerOf(pair, { as: 'web' })).send(begin));
    for (let i = 0; i < 4; i += 1) {
      await othersAreServed();
      seconds(4);
      for (const peer of all) peer.send(piece);
    }
    for (const peer of all) expect(await peer.end()).toMatch(says);
    await othersAreServed();
  });

  it('of a body is closed, and the application is told', async () => {
    pair = await start();
    const peer = keep(peerOf(pair, { as: 'web' })).send('POST /slow HTTP/1.1\r\nHost: api.pay\r\nContent-Length: 10\r\n\r\nx');
    const second = keep(peerOf(pair, { as: 'web' })).send(h2(headers(1, head('/slow', POST), 0), data(1, 'x')));
    await until('both beginnings', () => seen.read === 2);
    await othersAreServed();
    seconds(61);
    // A caller by HTTP/2 may take its time, as long as it answers pings: this one does not.
    await until('a ping', () => framesOf(second).includes('PING 0 8'));
    seconds(21);
    await second.end();
    expect(framesOf(second).at(-1)).toBe('GOAWAY 0 0');
    seconds(220);
    expect(await peer.end()).toMatch(/^HTTP\/1\.1 408 /);
    await until('the application to be told', () => seen.closed === 2);
  });
});
