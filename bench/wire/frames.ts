import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { Connection, type Handler } from '../../apps/dataplane/src/wire/index.ts';
import { bind } from './bind.ts';
import { median, nanoseconds } from './clock.ts';
import { ANSWER, BODY, REQUEST } from './exchange.ts';

const quiet = <T>(): Handler<T> => {
  const nothing = (): void => undefined;
  return { onHeaders: nothing, onData: nothing, onTrailers: nothing, onReset: nothing, onDrain: nothing, onGoAway: nothing, onRefused: nothing, onClosed: nothing, onOutput: nothing };
};

/** Both sides in one process without a socket: what frames, windows and HPACK cost by themselves, 32 exchanges a turn. */
export function measureEngine(rounds: number): number {
  let answered = 0;
  const server: Connection<null> = new Connection<null>({ role: 'server' }, {
    ...quiet<null>(),
    onData: (stream, data, end) => {
      server.consume(stream, data.length);
      if (!end) return;
      server.respond(stream, ANSWER, false);
      server.write(stream, BODY, true);
    },
  });
  const client: Connection<null> = new Connection<null>({ role: 'client' }, {
    ...quiet<null>(),
    onData: (stream, data, end) => {
      client.consume(stream, data.length);
      if (end) answered += 1;
    },
  });
  client.start();
  server.start();
  const turn = (): void => {
    for (let i = 0; i < 32; i += 1) {
      const stream = client.open(REQUEST, false);
      if (stream) client.write(stream, BODY, true);
    }
    for (const piece of client.takeOutput()) server.receive(piece);
    for (const piece of server.takeOutput()) client.receive(piece);
  };
  const result = nanoseconds({ both: (count) => { for (let i = 0; i < count; i += 32) turn(); } }, 32_000, rounds)['both'];
  if (answered !== 32_000 * (rounds + 1)) throw new Error(`only ${answered} were answered`);
  return result ?? Number.NaN;
}

/** Keeps `depth` exchanges open on each of `connections` for a while; how many were answered. */
async function load(port: number, connections: number, depth: number, ms: number): Promise<number> {
  let answered = 0;
  let running = true;
  const sockets = Array.from({ length: connections }, () => net.connect(port, '127.0.0.1'));
  for (const socket of sockets) {
    const ask = (): void => {
      const stream = running ? connection.open(REQUEST, false) : null;
      if (stream) connection.write(stream, BODY, true);
    };
    const connection = bind<null>(socket, 'client', {
      onData: (stream, data, end) => {
        connection.consume(stream, data.length);
        if (!end) return;
        answered += 1;
        ask();
      },
    });
    socket.once('connect', () => { for (let i = 0; i < depth; i += 1) ask(); });
  }
  await new Promise((resolve) => setTimeout(resolve, ms));
  running = false;
  const total = answered;
  for (const socket of sockets) socket.destroy();
  return total;
}

async function ask<T>(child: ChildProcess): Promise<T> {
  const answer = once(child, 'message');
  child.send('cpu');
  return ((await answer) as [T])[0];
}

/** The server's CPU microseconds for each exchange over loopback, the engines taking turns. */
export async function measureServers(connections: number, depth: number, rounds: number): Promise<Record<string, { cpu: number; rps: number }>> {
  const samples: Record<string, { cpu: number; rps: number }[]> = { ours: [], node: [] };
  const children = Object.keys(samples).map((engine) => ({ engine, child: fork(join(import.meta.dirname, 'server-child.ts'), [engine]) }));
  const ports = await Promise.all(children.map(async ({ child }) => ((await once(child, 'message')) as [{ port: number }])[0].port));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [i, { engine, child }] of children.entries()) {
      const before = await ask<{ cpu: number }>(child);
      const answered = await load(ports[i]!, connections, depth, 1000);
      const after = await ask<{ cpu: number }>(child);
      if (round > 0) samples[engine]?.push({ cpu: (after.cpu - before.cpu) / answered, rps: answered });
    }
  }
  for (const { child } of children) child.disconnect();
  return Object.fromEntries(Object.entries(samples).map(([engine, list]) => [engine, { cpu: median(list.map(({ cpu }) => cpu)), rps: median(list.map(({ rps }) => rps)) }]));
}
