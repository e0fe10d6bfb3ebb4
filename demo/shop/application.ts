import { existsSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Caller } from './caller.ts';
import { matchPath, type Values } from './goods.ts';
import type { Route, ShopWorkload } from './topology.ts';

const MAX_BODY_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 4096;

/** Listens on a Unix socket, taking the place of a file that a dead process left. */
export async function listenOn(server: Server | HttpServer, path: string): Promise<void> {
  if (existsSync(path)) unlinkSync(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

/**
 * An HTTP service of the shop: for each route it makes the calls that the topology gives it, in order, and answers
 * 502 when one of them fails, so that trouble travels up as in a real shop.
 */
export function httpApplication(workload: ShopWorkload, caller: Caller): HttpServer {
  const server = createServer((incoming, answer) => {
    serve(workload, caller, incoming, answer).catch(() => answer.destroy());
  });
  // Longer than any proxy keeps an idle connection: the side that sends requests is the one that closes.
  server.keepAliveTimeout = 75_000;
  return server;
}

async function serve(workload: ShopWorkload, caller: Caller, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  if (!(await drain(incoming))) return reply(answer, 413, { error: `the body is larger than ${MAX_BODY_BYTES} bytes` });
  const path = (incoming.url ?? '/').split('?')[0] ?? '/';
  const found = findRoute(workload.routes, incoming.method ?? 'GET', path);
  if (!found) return reply(answer, 404, { error: `${workload.name} has no ${incoming.method ?? ''} ${path}` });
  const trace = incoming.headers['traceparent'];
  const failed: string[] = [];
  for (const call of found.route.calls) {
    if (Math.random() >= call.share) continue;
    const outcome = await caller.make(call, found.values, typeof trace === 'string' ? trace : undefined);
    if (outcome.status < 200 || outcome.status > 399) failed.push(`${call.to.name}: ${outcome.status} ${outcome.reason ?? ''}`.trim());
  }
  reply(answer, failed.length === 0 ? 200 : 502, { service: workload.name, ...found.values, ...(failed.length === 0 ? {} : { failed }) });
}

function findRoute(routes: readonly Route[], method: string, path: string): { route: Route; values: Values } | null {
  for (const route of routes) {
    const values = route.method === method ? matchPath(route.path, path) : null;
    if (values) return { route, values };
  }
  return null;
}

/** Reads the body away. False when it is larger than the limit. */
async function drain(incoming: IncomingMessage): Promise<boolean> {
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return false;
  }
  return true;
}

function reply(answer: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  answer.writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) });
  answer.end(text);
}

/** The cart store: a line in, a line out, as Redis does it in inline commands. */
export function tcpApplication(): Server {
  return createTcpServer({ allowHalfOpen: false }, (socket: Socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE_BYTES) socket.destroy();
      for (const line of lines) socket.write(line.trim() === 'PING' ? '+PONG\n' : '-ERR unknown command\n');
    });
  });
}
