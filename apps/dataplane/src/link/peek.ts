import type { Link, LinkUser } from './link.ts';

/** What a connection's first bytes told, and the connection, which begins with the same bytes for whoever attaches next. */
export interface Peeked<T> {
  readonly told: T;
  readonly link: Link;
}

/**
 * Looks at the first bytes of a connection until `read` can tell something of them, it ends, or `ms` milliseconds passed;
 * then it is `otherwise`. Null when the connection closed meanwhile. `read` gets all bytes so far each time, and must
 * bound what it asks for.
 */
export function peek<T>(link: Link, ms: number, read: (bytes: Buffer) => T | null, otherwise: T): Promise<Peeked<T> | null> {
  return new Promise((resolve) => {
    const peeked = new PeekedLink(link);
    let done = false;
    const finish = (told: T | null): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      // Nobody listens until the next user attaches.
      link.pause();
      resolve(told === null ? null : { told, link: peeked });
    };
    const timer = setTimeout(() => finish(otherwise), ms);
    link.attach({
      onData: (chunk) => {
        // Also a chunk that was on its way when the look ended.
        const told = read(peeked.hold(chunk));
        if (told !== null) finish(told);
      },
      onEnd: () => finish(otherwise),
      onDrain: () => undefined,
      onClose: () => finish(null),
    });
  });
}

/** A link some of whose bytes were read already. */
class PeekedLink implements Link {
  readonly #link: Link;
  #bytes: Buffer = Buffer.alloc(0);
  #paused = false;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Keeps bytes for the next user; all that are kept. */
  hold(chunk: Buffer): Buffer {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    return this.#bytes;
  }

  get remoteAddress(): string | undefined {
    return this.#link.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#link.remotePort;
  }

  get localAddress(): string | undefined {
    return this.#link.localAddress;
  }

  get destroyed(): boolean {
    return this.#link.destroyed;
  }

  get retiring(): boolean {
    return this.#link.retiring;
  }

  attach(user: LinkUser): void {
    // Not before the caller has returned, and before anything that the link itself has to say.
    queueMicrotask(() => {
      const bytes = this.#bytes;
      this.#bytes = Buffer.alloc(0);
      if (bytes.length > 0 && !this.#link.destroyed) user.onData(bytes);
      if (!this.#paused) this.#link.resume();
    });
    this.#link.attach(user);
  }

  write(data: Buffer): boolean {
    return this.#link.write(data);
  }

  end(): void {
    this.#link.end();
  }

  destroySoon(): void {
    this.#link.destroySoon();
  }

  destroy(reset?: boolean): void {
    this.#link.destroy(reset);
  }

  pause(): void {
    this.#paused = true;
    this.#link.pause();
  }

  resume(): void {
    this.#paused = false;
    // What was read already comes first.
    if (this.#bytes.length === 0) this.#link.resume();
  }
}
