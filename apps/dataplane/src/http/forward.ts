import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FlowReason } from '@sallyport/shared/mesh';
import type { PooledAgent } from './agents.ts';
import { endToEnd, flat, hasBody, type HeaderPair, safeTrailers } from './headers.ts';
import type { UpgradeRequest } from './server.ts';

/** Without a byte for this long the upstream counts as gone. */
const UPSTREAM_IDLE_MS = 300_000;
/** How long the rest of a body is read and thrown away, so that its sender reads our answer instead of a reset. */
const DRAIN_MS = 2_000;

/** Where a request goes and in which form. */
export interface ForwardPlan {
  readonly agent: PooledAgent;
  readonly path: string;
  readonly headers: readonly HeaderPair[];
  /** True when the other side may not speak in our name: its `x-sallyport-*` headers are dropped. */
  readonly dropFromAnswer: (name: string) => boolean;
  /** Names of the request's trailers that are not passed on. */
  readonly dropTrailer?: (name: string) => boolean;
  /** True when the caller's connection is to end with this answer. */
  readonly close: boolean;
  readonly upgrade: UpgradeRequest | null;
  /** Called when the upstream switched protocols; both connections are then the callee's. */
  readonly switched: (client: Duplex, upstream: Duplex) => void;
}

/** How forwarding ended. `unreachable`: nothing was answered, and the caller of `forward` must answer. */
export interface ForwardOutcome {
  readonly kind: 'answered' | 'unreachable' | 'abandoned';
  /** The answer's head, when there was one. */
  readonly answer: IncomingMessage | null;
  readonly error: Error | null;
  /** True when nothing of the request reached anybody, so that it may be sent again. */
  readonly retryable: boolean;
  readonly received: number;
  readonly sent: number;
}

/** Streams a request to its upstream and the answer back, with back-pressure, trailers and 100-continue. Never rejects. */
export function forward(req: IncomingMessage, res: ServerResponse, plan: ForwardPlan): Promise<ForwardOutcome> {
  return new Promise((resolve) => {
    new Forwarding(req, res, plan, resolve).start();
  });
}

class Forwarding {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #plan: ForwardPlan;
  readonly #resolve: (outcome: ForwardOutcome) => void;
  readonly #onClose = () => this.#closed();
  #upstream: ClientRequest | null = null;
  #answer: IncomingMessage | null = null;
  #connected = false;
  #received = 0;
  #sent = 0;

  constructor(req: IncomingMessage, res: ServerResponse, plan: ForwardPlan, resolve: (outcome: ForwardOutcome) => void) {
    this.#req = req;
    this.#res = res;
    this.#plan = plan;
    this.#resolve = resolve;
  }

  start(): void {
    const { agent, path, headers } = this.#plan;
    this.#res.once('close', this.#onClose);
    if (this.#res.destroyed) return this.#closed();
    try {
      // A list of headers is sent as it is; `host` here only names the pool.
      this.#upstream = http.request({ agent, host: 'mesh', method: this.#req.method ?? 'GET', path, headers: flat(headers), setHost: false });
    } catch (error) {
      return this.#failed(error as Error);
    }
    this.#upstream.once('socket', () => this.#send());
    this.#upstream.once('continue', () => this.#res.writeContinue());
    this.#upstream.once('response', (answer) => this.#relay(answer));
    this.#upstream.once('upgrade', (answer, socket, head) => this.#switch(answer, socket, head));
    this.#upstream.on('error', (error) => this.#failed(error));
    this.#upstream.setTimeout(UPSTREAM_IDLE_MS, () => this.#upstream?.destroy(new Error('upstream sent nothing for too long')));
    if (!hasBody(this.#req)) this.#upstream.end();
  }

  /** The connection stands and its peer is verified: only now may the body be taken from its source. */
  #send(): void {
    const upstream = this.#upstream;
    const req = this.#req;
    this.#connected = true;
    if (!upstream || !hasBody(req)) return;
    upstream.flushHeaders();
    req.on('data', (chunk: Buffer) => {
      this.#received += chunk.length;
    });
    req.pipe(upstream, { end: false });
    req.once('end', () => {
      const trailers = safeTrailers(req.rawTrailers, this.#plan.dropTrailer);
      if (trailers.length > 0) upstream.addTrailers(trailers);
      upstream.end();
    });
  }

  #relay(answer: IncomingMessage): void {
    const res = this.#res;
    this.#answer = answer;
    const unread = hasBody(this.#req) && !this.#req.complete;
    const headers = endToEnd(answer.rawHeaders, this.#plan.dropFromAnswer);
    if (this.#plan.close || unread) headers.push(['connection', 'close']);
    try {
      res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', flat(headers));
    } catch (error) {
      this.#failed(error as Error);
      this.#upstream?.destroy();
      return;
    }
    answer.on('data', (chunk: Buffer) => {
      this.#sent += chunk.length;
    });
    answer.on('error', () => res.destroy());
    answer.pipe(res, { end: false });
    answer.once('end', () => {
      const trailers = safeTrailers(answer.rawTrailers);
      if (trailers.length > 0) res.addTrailers(trailers);
      if (unread && this.#upstream) this.#req.unpipe(this.#upstream);
      endAfterDrain(this.#req, res);
    });
    // A body that stops short must not look complete to whoever reads it.
    answer.once('close', () => {
      if (!answer.complete) res.destroy();
    });
  }

  #switch(answer: IncomingMessage, upstream: Duplex, head: Buffer): void {
    const { upgrade, switched } = this.#plan;
    this.#answer = answer;
    upstream.on('error', () => undefined);
    if (!upgrade) {
      upstream.destroy();
      return this.#failed(new Error('upstream switched protocols unasked'));
    }
    const headers = endToEnd(answer.rawHeaders, this.#plan.dropFromAnswer);
    const lines = [...headers, ['connection', 'Upgrade'], ['upgrade', 'websocket']].map(([name, value]) => `${name}: ${value}\r\n`);
    const client = upgrade.socket;
    client.write(Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1'));
    if (head.length > 0) client.write(head);
    if (upgrade.head.length > 0) upstream.write(upgrade.head);
    switched(client, upstream);
    this.#res.detachSocket(client as Parameters<ServerResponse['detachSocket']>[0]);
    this.#res.emit('close');
  }

  /** The caller's side ended: after a full answer, or because it went away. */
  #closed(): void {
    // After a complete answer this does nothing; otherwise the upstream must not work for nobody.
    if (!this.#answer?.complete && this.#answer?.statusCode !== 101) this.#upstream?.destroy();
    this.#settle(this.#answer ? 'answered' : 'abandoned', null, false);
  }

  #failed(error: Error): void {
    if (this.#answer && this.#res.headersSent) {
      this.#res.destroy();
      return;
    }
    this.#settle('unreachable', error, this.#mayRepeat());
  }

  #mayRepeat(): boolean {
    if (!this.#connected) return true;
    // RFC 9110 §9.2.2: idempotent methods may be repeated when a kept-alive connection turns out to be closed.
    const idempotent = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].includes(this.#req.method ?? '');
    return idempotent && !hasBody(this.#req) && this.#upstream?.reusedSocket === true;
  }

  #settle(kind: ForwardOutcome['kind'], error: Error | null, retryable: boolean): void {
    this.#res.off('close', this.#onClose);
    this.#resolve({ kind, answer: this.#answer, error, retryable, received: this.#received, sent: this.#sent });
  }
}

/** What a refusal says besides its status: more headers, or all headers and the body of somebody else's answer. */
export interface RefusalParts {
  readonly headers: readonly HeaderPair[];
  /** Null for our own text. */
  readonly body: Buffer | null;
}

/** Answers in the proxy's own name. `text` is for people; `reason` for the other proxy and for the application. */
export function refuse(req: IncomingMessage, res: ServerResponse, status: number, reason: FlowReason, text: string, close: boolean, parts: RefusalParts = { headers: [], body: null }): void {
  const body = parts.body ?? Buffer.from(`sallyport: ${text}\n`);
  const headers: HeaderPair[] = [...parts.headers, ['content-length', String(body.length)], ['x-sallyport-reason', reason]];
  if (parts.body === null) headers.push(['content-type', 'text/plain; charset=utf-8']);
  if (close || (hasBody(req) && !req.complete)) headers.push(['connection', 'close']);
  res.writeHead(status, flat(headers));
  res.write(body);
  endAfterDrain(req, res);
}

/** Ends the answer when the request was read to its end, or after two seconds: closing on unread bytes sends a reset. */
function endAfterDrain(req: IncomingMessage, res: ServerResponse): void {
  if (!hasBody(req) || req.complete || req.destroyed) {
    res.end();
    return;
  }
  const timer = setTimeout(() => res.end(), DRAIN_MS);
  const done = () => {
    clearTimeout(timer);
    res.end();
  };
  req.once('end', done);
  res.once('close', () => clearTimeout(timer));
  req.resume();
}
