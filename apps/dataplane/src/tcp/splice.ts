import type { Link, LinkUser } from '../link/link.ts';

/** Two connections joined byte by byte. */
export interface Splice {
  /** Bytes moved since the last call: from the source to the destination, and back. */
  take(): { readonly received: number; readonly sent: number };
  /** Breaks both sides. */
  destroy(): void;
  /** Resolves when both sides are closed. */
  readonly done: Promise<void>;
}

/** Joins `source` and `destination` with back-pressure and half-close: when one side ends, the other may still send. */
export function splice(source: Link, destination: Link): Splice {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let open = 2;
  const closed = () => {
    open -= 1;
    if (open === 0) resolve();
  };
  const out = new Side(source, destination, closed);
  const back = new Side(destination, source, closed);
  source.attach(out);
  destination.attach(back);
  return {
    take: () => ({ received: out.take(), sent: back.take() }),
    destroy() {
      // Neither side may take what it has for the whole.
      source.destroy(true);
      destination.destroy(true);
    },
    done,
  };
}

/** What comes from one side goes to the other. */
class Side implements LinkUser {
  readonly #from: Link;
  readonly #to: Link;
  readonly #closed: () => void;
  #moved = 0;
  #ended = false;

  constructor(from: Link, to: Link, closed: () => void) {
    this.#from = from;
    this.#to = to;
    this.#closed = closed;
  }

  take(): number {
    const moved = this.#moved;
    this.#moved = 0;
    return moved;
  }

  onData(chunk: Buffer): void {
    this.#moved += chunk.length;
    if (!this.#to.write(chunk)) this.#from.pause();
  }

  onEnd(): void {
    this.#ended = true;
    this.#to.end();
  }

  /** This side takes bytes again. */
  onDrain(): void {
    this.#to.resume();
  }

  /** When one side is closed the other is ended: softly after a clean end, so that what was written still arrives. */
  onClose(error: Error | null): void {
    if (this.#ended && error === null) this.#to.destroySoon();
    else this.#to.destroy(true);
    this.#closed();
  }
}
