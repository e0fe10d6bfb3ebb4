import type { Field } from '../hpack/field.ts';

/** One request and its response, or one tunnel. What is written here is the engine's; `owner` is the caller's. */
export class Stream<T> {
  readonly id: number;
  /** What the caller keeps with the stream. */
  owner: T | null = null;

  // RFC 9113 §5.1: the state is what each side has ended.
  localEnded = false;
  remoteEnded = false;
  /** True when it is in no table any more: both sides ended, or one reset it. */
  closed = false;
  /** True when the caller knows the stream: it began it, or was told its head. */
  known = false;
  /** True once the (final) head came. */
  headReceived = false;
  /** True once the (final) head was sent. */
  headSent = false;
  /** True once it did some of its work: an application answered, or a good part of a window went through. A reset takes nothing back then. */
  worked = false;
  /** The request's method: a response to HEAD has no content. */
  method = '';
  /** Content that must still come, -1 when nobody said. */
  contentLeft = -1;

  /** What we may send, RFC 9113 §6.9. Negative after a change of settings. */
  sendWindow: number;
  /** What the peer may send. */
  receiveWindow: number;
  /** Bytes that were told and not consumed. */
  unread = 0;
  /** Bytes that were consumed and not given back to the peer. */
  unacknowledged = 0;

  /** Data that waits for a window, first piece from `queueOffset`. */
  readonly queue: Buffer[] = [];
  queueOffset = 0;
  queued = 0;
  /** Seconds in which none of it could leave. */
  stuck = 0;
  /** True when our end comes after the queue, with these trailers if any. */
  endQueued = false;
  trailers: readonly Field[] | null = null;

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }
}
