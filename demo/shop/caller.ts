import { Agent, request, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { fillPath, type Values } from './goods.ts';
import { outboundSocket, type Place, tcpSocket } from './place.ts';
import type { Call } from './topology.ts';

export interface Outcome {
  /** HTTP status; 0 when no answer came. For TCP 200 stands for an answer. */
  readonly status: number;
  /** Why there was no answer, or the reason that a proxy gave for refusing. */
  readonly reason: string | null;
}

const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** A TCP connection is used for so long before a new one is made, so that the mesh sees connections come and go. */
const CONNECTION_LIFE_MS = 3_000;

/** Sends one HTTP request and reads the answer to its end. It never throws: what went wrong is the outcome. */
export async function send(options: RequestOptions, body: string | null): Promise<Outcome> {
  return await new Promise((resolve) => {
    const outgoing = request({ timeout: TIMEOUT_MS, ...options }, (answer) => {
      const reason = answer.headers['x-sallyport-reason'];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) answer.destroy();
      });
      answer.on('close', () => resolve({ status: answer.statusCode ?? 0, reason: typeof reason === 'string' ? reason : null }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve({ status: 0, reason: error.code ?? error.message }));
    outgoing.end(body ?? undefined);
  });
}

/** The calls of one workload, all through its own proxy. */
export class Caller {
  readonly #name: string;
  readonly #place: Place;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 8 });
  readonly #streams = new Map<string, Socket>();

  constructor(name: string, place: Place) {
    this.#name = name;
    this.#place = place;
  }

  /** Makes a call of the topology; `trace` is the incoming `traceparent`, handed on so that traces hang together. */
  async make(call: Call, values: Values, trace?: string): Promise<Outcome> {
    if (call.method === null || call.path === null) return await this.#ask(call);
    const body = call.method === 'POST' ? JSON.stringify({ user: values['user'] ?? null, quantity: 1 }) : null;
    return await send(
      {
        socketPath: outboundSocket(this.#place, this.#name),
        agent: this.#agent,
        method: call.method,
        path: fillPath(call.path, values),
        headers: {
          host: `${call.to.name}.${call.to.namespace}`,
          ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
          ...(trace === undefined ? {} : { traceparent: trace }),
        },
      },
      body,
    );
  }

  /** One line to a TCP service and its answer, on the connection that is open to it. */
  async #ask(call: Call): Promise<Outcome> {
    const path = tcpSocket(this.#place, this.#name, call.to);
    const socket = this.#streams.get(path) ?? this.#open(path);
    return await exchange(socket, 'PING\n');
  }

  #open(path: string): Socket {
    const socket = connect(path);
    this.#streams.set(path, socket);
    socket.setMaxListeners(100);
    const forget = (): void => {
      if (this.#streams.get(path) === socket) this.#streams.delete(path);
    };
    const life = setTimeout(() => {
      forget();
      socket.end();
    }, CONNECTION_LIFE_MS);
    socket.on('error', forget);
    socket.on('close', () => {
      clearTimeout(life);
      forget();
    });
    return socket;
  }

  close(): void {
    this.#agent.destroy();
    for (const socket of this.#streams.values()) socket.destroy();
  }
}

/** Sends a line and waits for the next bytes: enough for a store that answers each line with one. */
export async function exchange(socket: Socket, line: string): Promise<Outcome> {
  return await new Promise((resolve) => {
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', onClose);
      resolve(outcome);
    };
    const onData = (): void => settle({ status: 200, reason: null });
    const onError = (error: NodeJS.ErrnoException): void => settle({ status: 0, reason: error.code ?? error.message });
    const onClose = (): void => settle({ status: 0, reason: 'connection closed without an answer' });
    const timer = setTimeout(() => settle({ status: 0, reason: `no answer within ${TIMEOUT_MS} ms` }), TIMEOUT_MS);
    socket.on('data', onData).on('error', onError).on('close', onClose);
    socket.write(line);
  });
}
