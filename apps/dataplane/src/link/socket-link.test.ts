import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { TestCa, workloadUri } from '../../test/certificates.ts';
import { freePort, until } from '../../test/mesh.ts';
import type { LinkUser } from './link.ts';
import { SocketLink } from './socket-link.ts';

const ca = new TestCa();
const identity = ca.leaf(workloadUri('pay', 'api'));
const opened: { destroy(): void }[] = [];
let server: net.Server | undefined;

afterEach(() => {
  for (const each of opened.splice(0)) each.destroy();
  server?.close();
});

/** What a link told, in order. */
class Told implements LinkUser {
  readonly events: string[] = [];
  bytes = 0;
  onData(chunk: Buffer): void {
    this.bytes += chunk.length;
  }
  onEnd(): void {
    this.events.push('end');
  }
  onDrain(): void {
    this.events.push('drain');
  }
  onClose(error: Error | null): void {
    this.events.push(error === null ? 'close' : `close: ${(error as NodeJS.ErrnoException).code}`);
  }
}

type Carrier = 'TCP' | 'TLS';

/** A link and the plain Node socket at its other end. */
async function pair(carrier: Carrier): Promise<{ link: SocketLink; peer: Socket; user: Told }> {
  const port = await freePort();
  const accepted = new Promise<Socket>((resolve) => {
    server = carrier === 'TCP' ? net.createServer({ allowHalfOpen: true }, resolve) : tls.createServer({ ...identity, allowHalfOpen: true }, resolve);
    server.listen(port, '127.0.0.1');
  });
  await until('the server', () => server?.listening);
  const raw = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const socket = carrier === 'TCP' ? raw : tls.connect({ socket: raw, ca: ca.root, checkServerIdentity: () => undefined });
  await new Promise((resolve) => socket.once(carrier === 'TCP' ? 'connect' : 'secureConnect', resolve));
  const peer = await accepted;
  peer.on('error', () => undefined);
  opened.push(peer, socket);
  return { link: new SocketLink(socket), peer, user: new Told() };
}

/** Reads a socket to its end. */
function drain(socket: Socket): { bytes: number; ended: boolean; closed: boolean; error: string | undefined } {
  const seen = { bytes: 0, ended: false, closed: false, error: undefined as string | undefined };
  socket.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.length;
  });
  socket.on('end', () => {
    seen.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code;
  });
  socket.on('close', () => {
    seen.closed = true;
  });
  return seen;
}

describe.each<Carrier>(['TCP', 'TLS'])('over %s', (carrier) => {
  it('sends what is written in a turn in one write', async () => {
    const { link, peer, user } = await pair(carrier);
    const { socket } = link;
    let writes = 0;
    const write = socket.write.bind(socket);
    socket.write = (chunk: Buffer) => {
      writes += 1;
      return write(chunk);
    };
    link.attach(user);
    const seen = drain(peer);
    for (let i = 0; i < 20; i += 1) expect(link.write(Buffer.alloc(100, i))).toBe(true);
    await until('all bytes', () => seen.bytes === 2000);
    expect(writes).toBe(1);
    expect(user.events).toEqual([]);
  });

  it('asks the writer to wait for a reader that does not read, and tells when it does', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    peer.pause();
    let sent = 0;
    const piece = Buffer.alloc(50_000, 7);
    // Every pair of pieces is beyond the mark: a drain is owed for each, and comes as long as the kernel takes bytes.
    for (let drains = 0; ; drains += 1) {
      while (link.write(piece)) sent += piece.length;
      sent += piece.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (user.events.length === drains) break;
    }
    const before = user.events.length;
    expect(link.socket.writableLength).toBeGreaterThan(0);
    const seen = drain(peer);
    peer.resume();
    await until('the drain', () => user.events.length > before);
    await until('all bytes', () => seen.bytes === sent);
    expect(user.events.every((event) => event === 'drain')).toBe(true);
  });

  it('ends one way and goes on the other', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    const seen = drain(peer);
    link.write(Buffer.alloc(100_000));
    link.end();
    link.write(Buffer.from('after the end: not sent'));
    await until('the end', () => seen.ended);
    expect(seen.bytes).toBe(100_000);
    peer.write(Buffer.alloc(70_000));
    peer.end();
    await until('the close', () => user.events.includes('close'));
    expect(user.bytes).toBe(70_000);
    expect(user.events.filter((event) => event !== 'drain')).toEqual(['end', 'close']);
    expect(link.destroyed).toBe(true);
  });

  it('closes both ways after everything was sent', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    // Bytes that we do not read must not make the kernel throw away ours.
    peer.write(Buffer.alloc(200_000));
    link.pause();
    link.write(Buffer.alloc(1_000_000));
    link.destroySoon();
    const seen = drain(peer);
    await until('the end', () => seen.ended);
    peer.end();
    await until('the close', () => user.events.includes('close'));
    expect(seen.bytes).toBe(1_000_000);
    expect(user.events.filter((event) => event !== 'drain')).toEqual(['close']);
  });

  it('closes also on a peer that goes on sending', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    const seen = drain(peer);
    const timer = setInterval(() => peer.write('more'), 20);
    opened.push({ destroy: () => clearInterval(timer) });
    link.destroySoon();
    await until('the close', () => user.events.includes('close') && seen.closed);
    expect([user.bytes, user.events]).toEqual([0, ['close']]);
  });

  it('breaks with a reset, which nobody takes for a good end', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    const seen = drain(peer);
    link.write(Buffer.from('half of it'));
    await until('the bytes', () => seen.bytes > 0);
    link.destroy(true);
    expect(link.destroyed).toBe(true);
    await until('the close', () => seen.closed && user.events.length > 0);
    expect(seen).toMatchObject({ ended: false, error: 'ECONNRESET' });
    expect(user.events).toEqual(['close']);
  });

  it('tells a reset of the peer as an error, once', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    new SocketLink(peer).destroy(true);
    await until('the close', () => user.events.length > 0);
    expect(user.events).toEqual(['close: ECONNRESET']);
    link.destroy();
    link.write(Buffer.from('x'));
    const late = new Told();
    link.attach(late);
    await until('the late user', () => late.events.length > 0);
    expect([user.events.length, late.events]).toEqual([1, ['close: ECONNRESET']]);
  });

  it('slows the sender down while paused, and loses nothing', async () => {
    const { link, peer, user } = await pair(carrier);
    link.pause();
    link.attach(user);
    const total = 40_000_000;
    peer.write(Buffer.alloc(total));
    // Long enough for the kernel's buffers to fill; whatever they hold, the rest waits at the sender.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(user.bytes).toBe(0);
    expect(peer.writableLength).toBeGreaterThan(0);
    link.resume();
    await until('all bytes', () => user.bytes === total);
    link.pause();
    peer.end();
    link.resume();
    await until('the end', () => user.events.includes('end'));
  });

  it('tells its next user what the one before has heard', async () => {
    const { link, peer, user } = await pair(carrier);
    link.attach(user);
    peer.end(Buffer.from('all'));
    await until('the end', () => user.events.includes('end'));
    const next = new Told();
    link.attach(next);
    await until('the end again', () => next.events.includes('end'));
    link.end();
    await until('the close', () => next.events.includes('close'));
    expect([user.events, next.events]).toEqual([['end'], ['end', 'close']]);
  });
});
