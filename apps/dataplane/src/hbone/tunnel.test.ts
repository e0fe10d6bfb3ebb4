import net from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { freePort, until } from '../../test/mesh.ts';
import { SocketLink } from '../link/socket-link.ts';
import { field } from '../wire/index.ts';
import { described } from '../wire/h2/frames.fixture.ts';
import { Collector } from './peers.fixture.ts';
import { HboneStream } from './stream.ts';
import { Tunnel, type TunnelLimits } from './tunnel.ts';

const FOREVER = { retireAt: Number.POSITIVE_INFINITY, idle: Number.POSITIVE_INFINITY };
const CONNECT = [field(':method', 'CONNECT'), field(':authority', '127.0.0.7:80')];

let listener: net.Server;
let ends: [ours: net.Socket, theirs: net.Socket];

/** The seconds of tunnels are told by hand here; sockets are real. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const port = await freePort();
  const accepted = new Promise<net.Socket>((resolve) => {
    listener = net.createServer({ allowHalfOpen: true }, resolve).listen(port, '127.0.0.1');
  });
  const ours = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  ends = [ours, await accepted];
});
afterEach(() => {
  for (const socket of ends) socket.destroy();
  listener.close();
  vi.useRealTimers();
});

/** A tunnel of ours, and one of a peer that takes every stream. */
function tunnels(limits: TunnelLimits): { ours: Tunnel; streams: HboneStream[]; closed: () => boolean } {
  const streams: HboneStream[] = [];
  let closed = false;
  const theirs: Tunnel = new Tunnel(new SocketLink(ends[1]), 'server', FOREVER, {
    onStream: (stream) => {
      theirs.connection.respond(stream, [field(':status', '200')], false);
      const link = new HboneStream(theirs, stream);
      streams.push(link);
      return link;
    },
    onClosed: () => undefined,
  });
  const onClosed = () => {
    closed = true;
  };
  return { ours: new Tunnel(new SocketLink(ends[0]), 'client', limits, { onClosed }), streams, closed: () => closed };
}

function openStream(tunnel: Tunnel): HboneStream {
  const stream = tunnel.connection.open(CONNECT, false)!;
  const link = new HboneStream(tunnel, stream);
  stream.owner = link;
  link.attach(new Collector());
  return link;
}

/** Lets so many seconds pass for tunnels; the peer answers in each. */
async function seconds(count: number, tunnel: Tunnel): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await tunnel.heard();
    vi.advanceTimersByTime(1_000);
  }
}

it('closes after a minute without a stream, and not while there is one', async () => {
  const { ours, closed } = tunnels({ ...FOREVER, idle: 60 });
  const link = openStream(ours);
  await seconds(100, ours);
  expect(ours.retiring).toBe(false);
  link.destroy(true);
  await seconds(59, ours);
  expect([ours.retiring, ours.free]).toEqual([false, true]);
  await seconds(1, ours);
  expect([ours.retiring, ours.free]).toEqual([true, false]);
  await until('the close', closed);
});

it('takes no new stream when it is old, and closes with the last one', async () => {
  const { ours, streams, closed } = tunnels({ ...FOREVER, retireAt: Date.now() - 1 });
  const link = openStream(ours);
  const theirs = await until('the stream', () => streams[0]);
  const user = new Collector();
  theirs.attach(user);
  await seconds(1, ours);
  expect([ours.retiring, ours.free, link.destroyed]).toEqual([true, false, false]);
  link.write(Buffer.from('last'));
  await until('the bytes', () => user.bytes === 4);
  link.end();
  theirs.end();
  await until('the close', closed);
  expect(user.closed).toEqual({ error: null });
});

it('asks a silent peer after 15 s, and counts it as gone after 30', async () => {
  const closed = vi.fn();
  const ours = new Tunnel(new SocketLink(ends[0]), 'client', FOREVER, { onClosed: closed });
  const stream = ours.connection.open(CONNECT, false)!;
  const link = new HboneStream(ours, stream);
  stream.owner = link;
  const user = new Collector();
  link.attach(user);
  const got: Buffer[] = [];
  ends[1].on('data', (chunk: Buffer) => got.push(chunk)).on('error', () => undefined);
  const pings = () => described(got).filter((each) => each.startsWith('PING')).length;
  await until('the head', () => described(got).some((each) => each.startsWith('HEADERS')));
  vi.advanceTimersByTime(14_000);
  await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(1_000);
  await until('a ping', () => pings() === 1);
  vi.advanceTimersByTime(14_000);
  expect([closed.mock.calls.length, user.closed]).toEqual([0, null]);
  vi.advanceTimersByTime(1_000);
  await until('the close', () => user.closed);
  expect(closed).toHaveBeenCalledTimes(1);
  expect(user.closed?.error).toMatchObject({ code: 'ECONNRESET' });
});
