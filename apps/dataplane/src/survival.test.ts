import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../test/certificates.ts';
import { until } from '../test/mesh.ts';
import { type Caller, h2, http1, mutualTls, tcp } from '../test/soak/callers.ts';
import { openScene, type Scene } from '../test/soak/scene.ts';
import { GET, headers, settings } from './wire/h2/frames.fixture.ts';
import { PREFACE } from './wire/h2/protocol.ts';

const TEST_MS = 120_000;
/** What a process may hold more after hostile peers than before: code that was not yet compiled, buffers that are kept. */
const MAX_GROWTH = 100 * 1024 * 1024;

let scene: Scene;
let agent: http.Agent;

beforeEach(async () => {
  scene = await openScene();
  agent = new http.Agent({ keepAlive: true });
  await until('calls to go through', async () => (await http1(scene, false)()) && (await tcp(scene, false)()));
});
afterEach(async () => {
  agent.destroy();
  await scene.close();
});

it('changes of policies, endpoints and listeners fail no call', async () => {
  const callers: Caller[] = [http1(scene, agent), http1(scene, false), h2(scene), tcp(scene, false), mutualTls(scene)];
  const calls = callers.map(() => 0);
  const counts = { failed: 0, going: true };
  const work = async (caller: Caller, i: number) => {
    while (counts.going) {
      if (!(await caller())) counts.failed += 1;
      calls[i] = (calls[i] ?? 0) + 1;
    }
  };
  const working = Promise.all(callers.map(work));
  for (let change = 0; change < 10; change += 1) {
    const before = [...calls];
    await scene.change();
    await until('calls of every kind', () => calls.every((count, i) => count > (before[i] ?? 0)));
  }
  counts.going = false;
  await working;
  expect(counts.failed).toBe(0);
}, TEST_MS);

/** Numbers that look random and are the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const VALID = [
  Buffer.from('POST /a?b HTTP/1.1\r\nHost: api.pay\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\nHost: api.pay\r\n\r\n'),
  Buffer.from('GET / HTTP/1.1\r\nHost: api.pay\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'),
  Buffer.concat([PREFACE, settings(), headers(1, GET), headers(3, [[':method', 'CONNECT'], [':authority', '127.0.0.46:80']], 0)]),
  Buffer.from([22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3, ...Array.from({ length: 32 }, (_, i) => i), 0, 0, 2, 0x13, 1, 1, 0, 0, 13, 0, 43, 0, 3, 2, 3, 4, 0, 0, 0, 2, 0, 0]),
];

/** A message with some of its bytes changed, removed or repeated, or bytes that never meant anything. */
function mutated(random: (below: number) => number): Buffer {
  if (random(4) === 0) return Buffer.from(Array.from({ length: random(600) }, () => random(256)));
  const bytes = Buffer.from(VALID[random(VALID.length)]!);
  for (let i = random(6); i > 0; i -= 1) bytes[random(bytes.length)] = random(256);
  const at = random(bytes.length);
  return random(3) === 0 ? Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length))]) : bytes;
}

it('bytes of any kind at any port end no process, and leave little behind', async () => {
  const { ca } = scene.mesh.operator;
  const identity = ca.leaf(workloadUri('shop', 'web'));
  const { http: toHttp, h2: toH2, tcp: toTcp, hbone } = scene.ports;
  const plain = (port: number) => () => net.connect({ host: scene.address, port });
  const secure = (port: number, alpn: string[]) => () => tls.connect({ host: scene.address, port, ...identity, ca: ca.root, servername: '', checkServerIdentity: () => undefined, ALPNProtocols: alpn });
  const doors: (() => net.Socket)[] = [
    plain(toHttp), plain(toH2), plain(toTcp), plain(hbone), secure(toHttp, []), secure(toH2, []), secure(toTcp, []), secure(hbone, ['h2']),
    () => net.connect(scene.http), () => net.connect(scene.tcp),
  ];
  const random = numbers(20_261_125);
  const [client, server] = await Promise.all([scene.client.held(), scene.server.held()]);
  for (let round = 0; round < 60; round += 1) await Promise.all(doors.map((open) => disturb(open(), mutated(random), random)));
  expect([scene.client.running, scene.server.running]).toEqual([true, true]);
  expect([await http1(scene, false)(), await h2(scene)(), await tcp(scene, false)(), await mutualTls(scene)()]).toEqual([true, true, true, true]);
  expect(scene.client.output + scene.server.output).not.toMatch(/defect/);
  const after = await Promise.all([scene.client.held(), scene.server.held()]);
  expect(after[0].rss - client.rss).toBeLessThan(MAX_GROWTH);
  expect(after[1].rss - server.rss).toBeLessThan(MAX_GROWTH);
}, TEST_MS);

/** Sends bytes in two pieces and leaves, in good order or not, when they were taken. */
async function disturb(socket: net.Socket, bytes: Buffer, random: (below: number) => number): Promise<void> {
  const at = random(bytes.length + 1);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined).resume();
  socket.write(bytes.subarray(0, at));
  // Only TCP itself can be reset.
  const left = random(2) === 0 || socket instanceof tls.TLSSocket || socket.remoteAddress === undefined;
  socket.write(bytes.subarray(at), () => setTimeout(() => (left ? socket.destroy() : socket.resetAndDestroy()), 20));
  await closed;
}
