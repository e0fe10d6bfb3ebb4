/** What a connection tells whoever uses it. */
export interface LinkUser {
  /** Bytes came. They are the callee's to keep. */
  onData(chunk: Buffer): void;
  /** The other side will send no more; it may still read. */
  onEnd(): void;
  /** What was written is on its way: comes after a `write` that gave false. */
  onDrain(): void;
  /** It is gone, in good order or by `error`. Comes once, and nothing comes after it. */
  onClose(error: Error | null): void;
}

/**
 * A byte connection in both directions: a TCP, Unix or TLS socket, or a stream of HBONE. What all protocols ask of one, so
 * that none of them knows what carries it, and no more, because every byte of every call passes here.
 */
export interface Link {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  /** True when it cannot carry anything any more. */
  readonly destroyed: boolean;
  /** True when it should carry nothing new after what is on it: its carrier retires. */
  readonly retiring: boolean;
  /** Names who hears of it from now on, and begins to read. */
  attach(user: LinkUser): void;
  /** Sends; what is written in one turn leaves together. False when the caller should wait for `onDrain`. */
  write(data: Buffer): boolean;
  /** Sends no more after what was written. The other side may. */
  end(): void;
  /** Ends after what was written, then closes both ways. */
  destroySoon(): void;
  /** Closes at once, and tells the user. `reset`: the other side must not take it for a good end. */
  destroy(reset?: boolean): void;
  /** Stops reading, so that the sender is slowed down. What was read already may still come. */
  pause(): void;
  resume(): void;
}
