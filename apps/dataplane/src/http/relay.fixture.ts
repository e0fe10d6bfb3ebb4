import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { SocketLink } from '../link/socket-link.ts';
import { compileRemoval } from '../wire/index.ts';
import type { Downstream, Edits, UpstreamPool } from './exchange.ts';
import { H2Server } from './h2-server.ts';
import { H2Pool } from './h2-pool.ts';

const EDITS: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };

/** The least that carries a call on: no policy, no retry. What goes wrong is told to `failed`. */
function relay(call: Downstream, pool: UpstreamPool, failed: (error: Error, untouched: boolean) => void): void {
  const { request } = call;
  const upstream = pool.call(request, request.target, EDITS, !call.bodyEnded, {
    onInterim: (response) => call.interim(response),
    onResponse: (response, end) => call.respond(response, EDITS, { end, close: false }),
    onBody: (data) => {
      if (!call.write(data)) upstream.pause();
      upstream.consume(data.length);
    },
    onEnd: (trailers) => call.end(trailers, EDITS.removal),
    onDrain: () => call.resume(),
    onFailed: (error, untouched) => {
      failed(error, untouched);
      call.abort();
    },
  });
  call.attach({
    onBody: (data) => {
      if (!upstream.write(data)) call.pause();
      call.consume(data.length);
    },
    onEnd: (trailers) => upstream.end(trailers, EDITS.removal),
    onDrain: () => upstream.resume(),
    onAbort: () => upstream.abort(),
  });
  if (!call.bodyEnded) call.readBody();
}

/** A front of ours, in front of an application that speaks HTTP/2, with what was seen on the way. */
export class Front {
  readonly failures: { readonly message: string; readonly untouched: boolean }[] = [];
  readonly defects: unknown[] = [];
  readonly malformed: string[] = [];
  readonly servers: H2Server[] = [];
  readonly #listener: net.Server;
  readonly #pool: H2Pool;
  dials = 0;

  constructor(app: () => number) {
    this.#pool = new H2Pool(async () => {
      this.dials += 1;
      const socket = net.connect(app(), '127.0.0.1');
      await once(socket, 'connect');
      return new SocketLink(socket);
    }, (error) => this.defects.push(error));
    this.#listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const server = new H2Server(new SocketLink(socket), {
        onCall: (call) => relay(call, this.#pool, ({ message }, untouched) => this.failures.push({ message, untouched })),
        onMalformed: (reason) => this.malformed.push(reason),
        onDefect: (error) => this.defects.push(error),
        onClose: () => undefined,
      });
      this.servers.push(server);
      server.start();
    });
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    this.#listener.listen(0, '127.0.0.1');
    await once(this.#listener, 'listening');
  }

  /** @throws what was thrown where nothing may be */
  stop(): void {
    this.#pool.retire();
    this.#listener.close();
    for (const server of this.servers) server.destroy();
    if (this.defects.length > 0) throw this.defects[0];
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Collects an answer of node:http2's client; rejects when the stream breaks. */
export async function answerTo(stream: http2.ClientHttp2Stream): Promise<Answer> {
  let headers: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  stream.once('response', (given) => (headers = given));
  stream.once('trailers', (given) => (trailers = given));
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: Number(headers[':status']), headers, trailers, body: Buffer.concat(chunks) };
}
