import type { Field } from '../hpack/field.ts';
import type { MessageHead } from './message.ts';
import type { Stream } from './stream.ts';

/** What a connection tells its caller, who may call the connection back from any of these. */
export interface Handler<T> {
  /** A request (on a server) or a response, interim ones too. `end`: no content and no trailers follow. */
  onHeaders(stream: Stream<T>, head: MessageHead, end: boolean): void;
  /** Content. Its bytes are the caller's to keep, and hold the windows until they are consumed. */
  onData(stream: Stream<T>, data: Buffer, end: boolean): void;
  onTrailers(stream: Stream<T>, fields: readonly Field[]): void;
  /** The stream ended before its time, by the peer or by a violation. `retryable`: the peer did nothing with it. */
  onReset(stream: Stream<T>, code: number, retryable: boolean): void;
  /** What was queued for the stream is on its way: more may be written, unless the end was too. */
  onDrain(stream: Stream<T>): void;
  /** The peer takes no new streams. */
  onGoAway(code: number, debug: string): void;
  /** A message or frame that was refused, for the log. The connection goes on. `told`: its stream was told before. */
  onRefused(reason: string, code: number, told: boolean): void;
  /** The connection is over: what is in the output says so to the peer. Open streams were reset. */
  onClosed(code: number, reason: string): void;
  /** There is output to take, once until it is taken. */
  onOutput(): void;
}

export interface Options {
  readonly role: 'client' | 'server';
  /** How many streams the peer may have open. */
  readonly maxStreams: number;
  /** What the peer may send on a stream, and on all of them, before it was consumed: 65,535 at least. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** How many seconds a stream waits for a peer that takes nothing of it. */
  readonly readerPatience: number;
  /** RFC 8441: WebSockets over HTTP/2. */
  readonly extendedConnect: boolean;
  /** Smaller heads for more work. */
  readonly huffman: boolean;
}

export const DEFAULTS = { maxStreams: 100, streamWindow: 262_144, connectionWindow: 1_048_576, readerPatience: Number.POSITIVE_INFINITY, extendedConnect: false, huffman: false } as const;
