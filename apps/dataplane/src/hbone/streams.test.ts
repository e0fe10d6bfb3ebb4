import net from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestCa, workloadUri } from '../../test/certificates.ts';
import { freePort, until } from '../../test/mesh.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Link } from '../link/link.ts';
import type { SocketLink } from '../link/socket-link.ts';
import type { PeerConnection } from '../listener/inbound-port.ts';
import { HboneClient } from './client.ts';
import { AUTHORITY, CLIENT, Collector, credentialsOf, renew, SERVER, startServer, type TestServer } from './peers.fixture.ts';
import type { HboneStream } from './stream.ts';

const ca = new TestCa();
let servers: TestServer[];
let client: HboneClient;
let credentials: Credentials;
/** The server's ends of the streams, in the order in which they came. */
let ends: PeerConnection[];
const logs: Record<string, unknown>[] = [];

beforeEach(async () => {
  ends = [];
  logs.length = 0;
  servers = [];
  client = new HboneClient(pino({}, { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) }));
  credentials = credentialsOf(ca, CLIENT);
  await serve();
});
afterEach(async () => {
  await client.close(0);
  await Promise.all(servers.map(async ({ server }) => {
    await server.retire();
    await server.close(0);
  }));
});

async function serve(): Promise<TestServer> {
  const started = await startServer(ca, (connection) => ends.push(connection));
  servers.push(started);
  return started;
}

const destination = (spiffeId = SERVER, hbone = servers[0]!.port) => ({ ...AUTHORITY, hbone, spiffeId });

/** A stream: the first may find its connection in the making for longer than callers wait. */
function stream(): Promise<HboneStream> {
  return until('a stream', () => client.connect(destination(), credentials));
}

/** A stream with users at both ends. */
async function joined(): Promise<{ ours: HboneStream; mine: Collector; theirs: Link; their: Collector }> {
  const before = ends.length;
  const ours = await stream();
  const { link: theirs } = await until('the other end', () => ends[before]);
  const [mine, their] = [new Collector(), new Collector()];
  ours.attach(mine);
  theirs.attach(their);
  return { ours, mine, theirs, their };
}

it('ends one way and goes on the other', async () => {
  const { ours, mine, theirs, their } = await joined();
  ours.write(Buffer.from('all of it'));
  ours.end();
  ours.write(Buffer.from('not sent'));
  await until('the end', () => their.ended);
  expect(their.text).toBe('all of it');
  expect([ours.destroyed, theirs.destroyed]).toEqual([false, false]);
  theirs.write(Buffer.from('answer'));
  theirs.end();
  await until('both closes', () => mine.closed && their.closed);
  expect([mine.text, mine.ended, mine.closed, their.closed]).toEqual(['answer', true, { error: null }, { error: null }]);
  expect(client.open).toEqual({ connections: 1, streams: 0 });
});

it('tells a broken stream as an error to the other side', async () => {
  const { ours, mine, their } = await joined();
  ours.write(Buffer.from('half'));
  await until('the bytes', () => their.bytes === 4);
  ours.destroy(true);
  await until('both closes', () => mine.closed && their.closed);
  expect([mine.closed?.error, their.ended]).toEqual([null, false]);
  expect(their.closed?.error).toMatchObject({ code: 'ECONNRESET' });
});

it('lets go of a thousand idle streams without a reset', async () => {
  const streams = [];
  for (let i = 0; i < 4; i += 1) {
    streams.push(...(await Promise.all(Array.from({ length: 250 }, stream))));
    // As a pool lets go of its idle links, and as the other side's server answers that.
    for (const { link } of ends.splice(0)) {
      const user = new Collector();
      user.onEnd = () => link.destroy();
      link.attach(user);
    }
    for (const each of streams.splice(0)) each.destroy();
    await until('no stream', () => client.open.streams === 0);
  }
  expect(client.open.connections).toBe(1);
  const { ours, their } = await joined();
  ours.write(Buffer.from('x'));
  await until('the bytes', () => their.bytes === 1);
});

it('resets what it did not send to the end when it is closed at once', async () => {
  const { ours, theirs, their } = await joined();
  theirs.pause();
  while (ours.write(Buffer.alloc(100_000)));
  ours.destroy();
  await until('the close', () => their.closed);
  expect([their.ended, their.closed?.error]).toEqual([false, expect.objectContaining({ code: 'ECONNRESET' })]);
});

it('closes both ways after everything was sent, also on a peer that does not end', async () => {
  const { ours, mine, theirs, their } = await joined();
  ours.write(Buffer.alloc(2_000_000));
  ours.destroySoon();
  await until('all bytes', () => their.bytes === 2_000_000 && their.ended);
  theirs.write(Buffer.from('nobody reads this'));
  await until('both closes', () => mine.closed && their.closed);
  expect([mine.bytes, mine.closed]).toEqual([0, { error: null }]);
});

it('keeps what came before there was a user, and tells a late one of the end', async () => {
  const ours = await stream();
  const { link } = await until('the other end', () => ends[0]);
  ours.write(Buffer.from('early'));
  ours.end();
  const other = await joined();
  other.ours.write(Buffer.from('x'));
  await until('a later stream', () => other.their.bytes === 1);
  const [user, late] = [new Collector(), new Collector()];
  link.attach(user);
  await until('the end', () => user.ended);
  expect(user.text).toBe('early');
  link.attach(late);
  await until('the end again', () => late.ended);
});

it('moves 50 MB both ways past a slow reader in bounded memory, and other streams go on', async () => {
  const { ours, mine, theirs, their } = await joined();
  const small = await joined();
  const total = 50_000_000;
  const slow = pausing(theirs, their);
  // What was written and is not read is what all buffers together hold.
  let most = 0;
  const pumps = [pump(ours, mine, total, (sent) => (most = Math.max(most, sent - their.bytes))), pump(theirs, their, total)];
  let answers = 0;
  small.their.onChunk = (chunk) => void small.theirs.write(chunk);
  for (; their.bytes < total; answers += 1) {
    const before = small.mine.bytes;
    small.ours.write(Buffer.from('?'));
    await until('the small answer', () => small.mine.bytes > before);
  }
  slow();
  await Promise.all(pumps);
  await until('all bytes', () => mine.bytes === total && their.bytes === total);
  expect(answers).toBeGreaterThan(5);
  // The stream's window, and the piece that was being written.
  expect(most).toBeLessThanOrEqual(262_144 + 100_000);
});

/** Writes `total` bytes as fast as the link takes them. */
async function pump(link: Link, user: Collector, total: number, watch: (sent: number) => void = () => undefined): Promise<void> {
  for (let sent = 0; sent < total; sent += 100_000) {
    const drains = user.drains;
    watch(sent);
    if (!link.write(Buffer.alloc(100_000))) await until('a drain', () => user.drains > drains);
  }
  link.end();
}

/** Reads a megabyte at a time, with a rest after each. */
function pausing(link: Link, user: Collector): () => void {
  let next = 1_000_000;
  user.onChunk = () => {
    if (user.bytes < next) return;
    next = user.bytes + 1_000_000;
    link.pause();
    setTimeout(() => link.resume(), 5);
  };
  return () => {
    user.onChunk = () => undefined;
  };
}

it('stops the sender of a stream that nobody reads, and no other', async () => {
  const { ours, theirs, their } = await joined();
  theirs.pause();
  let sent = 0;
  while (ours.write(Buffer.alloc(16_384))) {
    sent += 16_384;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sent).toBe(262_144);
  const small = await joined();
  small.ours.write(Buffer.from('x'));
  await until('the small one', () => small.their.bytes === 1);
  expect(their.bytes).toBe(0);
  theirs.resume();
  await until('all bytes', () => their.bytes === sent + 16_384);
});

it('sends what all streams wrote in a turn by one write', async () => {
  const all: Awaited<ReturnType<typeof joined>>[] = [];
  for (let i = 0; i < 20; i += 1) all.push(await joined());
  const { socket } = all[0]!.ours.carrier as SocketLink;
  let writes = 0;
  const write = socket.write.bind(socket);
  socket.write = (chunk: Buffer) => {
    writes += 1;
    return write(chunk);
  };
  for (const { ours } of all) ours.write(Buffer.alloc(100));
  await until('all bytes', () => all.every(({ their }) => their.bytes === 100));
  expect(writes).toBe(1);
});

it('opens another connection when one is full, and one for many that wait', async () => {
  const streams = await Promise.all(Array.from({ length: 300 }, stream));
  expect(client.open).toEqual({ connections: 2, streams: 300 });
  for (const each of streams) each.attach(new Collector());
  for (const { link } of ends) link.destroySoon();
  for (const each of streams) each.end();
  await until('no stream', () => client.open.streams === 0);
});

it('shows a renewed SVID on new connections, while open streams finish on theirs', async () => {
  const { ours, their } = await joined();
  renew(credentials, ca);
  expect(ours.retiring).toBe(true);
  const next = await joined();
  expect(next.ours.retiring).toBe(false);
  expect(client.open.connections).toBe(2);
  ours.write(Buffer.from('still here'));
  await until('the bytes', () => their.bytes === 10);
  ours.destroy(true);
  await until('the end of the old one', () => client.open.connections === 1);
  expect(client.open.streams).toBe(1);
});

it('makes a connection for later while a link is there for want of one', async () => {
  const available = client.watch(destination(), credentials);
  expect(available()).toBe(false);
  await until('a connection', available);
  expect(client.open).toEqual({ connections: 1, streams: 0 });
  expect((await joined()).ours.retiring).toBe(false);
  expect(client.open.connections).toBe(1);
});

it('never shares a connection between identities', async () => {
  await stream();
  const other = credentialsOf(ca, workloadUri('shop', 'admin'));
  await until('a stream of the other', () => client.connect(destination(), other));
  expect(client.open.connections).toBe(2);
  expect(ends.map(({ principal }) => principal)).toEqual([CLIENT, other.spiffeId]);
});

it('gives nothing when another identity answers, and does not ask again at once', async () => {
  const wrong = destination(workloadUri('pay', 'other'));
  await until('the log', async () => {
    expect(await client.connect(wrong, credentials)).toBeNull();
    return logs.length > 0;
  });
  expect(String(logs[0]?.['reason'])).toContain('expected');
  for (let i = 0; i < 5; i += 1) expect(await client.connect(wrong, credentials)).toBeNull();
  expect([logs.length, ends.length, client.open.connections]).toEqual([1, 0, 0]);
});

it('does not make callers wait for an address that is silent', async () => {
  const sockets: net.Socket[] = [];
  const silent = net.createServer((socket) => sockets.push(socket)).listen(await freePort(), AUTHORITY.address);
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as net.AddressInfo;
  // Both wait for one dial, which goes on behind their backs and has ended neither way.
  const results = await Promise.all([1, 2].map(() => client.connect(destination(SERVER, port), credentials)));
  expect([results, sockets.length, logs]).toEqual([[null, null], 1, []]);
  expect(await client.connect(destination(SERVER, port), credentials)).toBeNull();
  expect(sockets.length).toBe(1);
  for (const socket of sockets) socket.destroy();
  silent.close();
});

it('begins nothing on a connection whose peer says goodbye, and lets its streams finish', async () => {
  const { ours, mine, theirs, their } = await joined();
  const first = servers[0]!;
  await first.server.retire();
  expect(ours.retiring).toBe(true);
  // The address does not listen any more: a call must go elsewhere.
  await until('nothing to be had', async () => (await client.connect(destination(), credentials)) === null);
  ours.write(Buffer.from('last words'));
  await until('the bytes', () => their.bytes === 10);
  ours.end();
  theirs.end();
  await until('the close', () => mine.closed && client.open.connections === 0);
  expect(mine.closed).toEqual({ error: null });
});
