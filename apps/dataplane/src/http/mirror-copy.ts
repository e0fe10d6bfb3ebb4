import type { MirrorPlan } from '../traffic/plan.ts';
import { MirrorFeed } from '../traffic/mirror.ts';
import type { Removal } from '../wire/index.ts';
import type { Edits, RequestMessage, ResponseMessage, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';

/** How long a copy may take: nobody waits for it, but it has a place of a few. */
const MAX_COPY_MS = 30_000;

/** A request in the form that goes on. */
export interface Copied {
  readonly request: RequestMessage;
  readonly edits: Edits;
  readonly trailers: Removal;
  readonly body: boolean;
}

/** A copy of a call on its way to a mirror. Its answer is read and thrown away; nothing of it concerns the call. */
export class MirrorCopy implements UpstreamUser {
  readonly #upstream: Upstream;
  readonly #feed: MirrorFeed;
  readonly #trailers: Removal;
  readonly #done: () => void;
  readonly #timer: NodeJS.Timeout;
  #over = false;

  constructor(plan: MirrorPlan, pool: UpstreamPool, { request, edits, trailers, body }: Copied) {
    this.#done = () => plan.done();
    this.#trailers = trailers;
    this.#upstream = pool.call(request, request.target, edits, body, this);
    this.#feed = new MirrorFeed({ write: (chunk) => this.#upstream.write(chunk), abort: () => this.#abort() });
    this.#timer = setTimeout(() => this.#feed.stop(), MAX_COPY_MS).unref();
  }

  /** A piece of the call's body. */
  write(chunk: Buffer): void {
    if (!this.#over) this.#feed.write(chunk);
  }

  /** The body is complete. Trailers can be read but once, and the call itself has them. */
  end(): void {
    if (!this.#over) this.#upstream.end(null, this.#trailers);
  }

  /** The call broke off. */
  stop(): void {
    if (!this.#over) this.#feed.stop();
  }

  onInterim(): void {
    // Nobody waits for it.
  }

  onResponse(_response: ResponseMessage, end: boolean): void {
    if (end) this.#finish();
  }

  onBody(data: Buffer): void {
    this.#upstream.consume(data.length);
  }

  onEnd(): void {
    this.#finish();
  }

  onDrain(): void {
    this.#feed.drained();
  }

  onFailed(): void {
    this.#finish();
  }

  #abort(): void {
    this.#upstream.abort();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#done();
  }
}
