import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';

/** Where a leader's ports are. */
export interface LeaderAddress {
  readonly host: string;
  readonly api: number;
  readonly join: number;
  readonly stream: number;
  readonly bundle: number | null;
}

/** Asked with our own API port. */
type FindLeader = (own: number) => LeaderAddress | null;
type Leader = () => LeaderAddress | null;

/** The ports of a replica that does not lead: they answer for themselves only that they live, and lead to the leader. */
export interface Standby {
  readonly ports: { readonly api: number; readonly join: number; readonly stream: number };
  close(): Promise<void>;
}

/** Opens the ports. Connections of proxies are passed on as they are: their TLS ends at the leader. */
export async function startStandby(config: Config, find: FindLeader, log: Logger): Promise<Standby> {
  const sockets = new Set<Socket>();
  const api = http.createServer((request, response) => answer(request, response, leader, log));
  const leader = () => find(portOf(api));
  const relay = (port: 'join' | 'stream' | 'bundle') => net.createServer((socket) => pass(socket, port, leader));
  const [join, stream] = [relay('join'), relay('stream')];
  const bundle = config.bundleEndpoint === null ? null : relay('bundle');
  const open: Server[] = [];
  for (const [server, port] of [[api, config.ports.api], [join, config.ports.join], [stream, config.ports.stream], [bundle, config.bundleEndpoint?.port ?? 0]] as const) {
    if (server === null) continue;
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    server.listen(port, config.host);
    await once(server, 'listening');
    open.push(server);
  }
  return {
    ports: { api: portOf(api), join: portOf(join), stream: portOf(stream) },
    async close() {
      const closed = open.map((server) => new Promise<void>((resolve) => {
        server.close(() => resolve());
      }));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function pass(socket: Socket, port: 'join' | 'stream' | 'bundle', leader: Leader): void {
  const address = leader();
  const target = address?.[port] ?? null;
  socket.on('error', () => undefined);
  if (address === null || target === null) {
    socket.destroy();
    return;
  }
  const onward = net.connect(target, address.host);
  onward.on('error', () => undefined).on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
  socket.pipe(onward).pipe(socket);
}

function answer(request: IncomingMessage, response: ServerResponse, leader: Leader, log: Logger): void {
  if (request.url === '/healthz' || request.url === '/readyz') {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('standing by\n');
    return;
  }
  const address = leader();
  if (address === null) {
    away(response);
    return;
  }
  const options = { host: address.host, port: address.api, path: request.url, method: request.method, headers: request.headers };
  const onward = http.request(options, (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(response);
    answered.on('error', () => response.destroy());
  });
  onward.on('error', (error) => {
    log.debug({ error: error.message }, 'the leader did not answer');
    if (response.headersSent) response.destroy();
    else away(response);
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

/** RFC 9110 §15.6.4. */
function away(response: ServerResponse): void {
  const error = { code: 'unavailable', message: 'no replica of the operator leads at this moment', remedy: 'one takes over within 15 s; try again then' };
  response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '2' }).end(JSON.stringify({ error }));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
