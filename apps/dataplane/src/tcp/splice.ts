import type { Duplex } from 'node:stream';

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
export function splice(source: Duplex, destination: Duplex): Splice {
  let received = 0;
  let sent = 0;
  source.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  destination.on('data', (chunk: Buffer) => {
    sent += chunk.length;
  });
  source.pipe(destination);
  destination.pipe(source);
  const done = Promise.all([closing(source, destination), closing(destination, source)]).then(() => undefined);
  return {
    take() {
      const moved = { received, sent };
      received = 0;
      sent = 0;
      return moved;
    },
    destroy() {
      source.destroy();
      destination.destroy();
    },
    done,
  };
}

/** When one side is closed the other is ended: softly after a clean end, so that what was written still arrives. */
function closing(one: Duplex, other: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      if (!one.readableEnded) other.destroy();
      else if (other.writableFinished) other.destroy();
      else other.once('finish', () => other.destroy());
      resolve();
    };
    one.on('error', () => undefined);
    if (one.destroyed) finish();
    else one.once('close', finish);
  });
}
