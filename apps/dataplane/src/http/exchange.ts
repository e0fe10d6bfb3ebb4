import type { Field, FieldPair, Removal } from '../wire/index.ts';
import type { Link } from '../link/link.ts';
import type { OwnField } from './own-field.ts';

/**
 * The two halves of a call, whatever version of HTTP each speaks: a {@link Downstream} is a call that somebody made to us, an
 * {@link Upstream} one that we make for it. A message can write itself in both versions, so that a call that does not change
 * version is copied from bytes to bytes, and only one that does is made of texts.
 */

/** What becomes of a message's fields on its way through the proxy. */
export interface Edits {
  readonly removal: Removal;
  readonly added: readonly OwnField[];
}

/** A message's head. Valid until its exchange goes on to the next message; texts may be kept. */
interface Message {
  /** The first field of this name (given in lower case), or null. */
  header(name: string): string | null;
  /** End-to-end fields as text, names in lower case, without those that `removal` removes. */
  fields(removal: Removal): FieldPair[];
  /** Announced bytes of the body; 0 when there is none, -1 when it is not announced. */
  readonly size: number;
}

export interface RequestMessage extends Message {
  readonly version: '1.0' | '1.1' | '2';
  readonly method: string;
  /** The authority that the request is for, as it came. */
  readonly host: string;
  /** In origin form or `*`, as it came. */
  readonly target: string;
  /** True when the caller waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** True for an HTTP/1.1 request to switch to WebSocket, or RFC 8441's extended CONNECT to `websocket`. */
  readonly webSocket: boolean;
  /** The whole head for the next hop, framing included. */
  toHttp1(target: string, edits: Edits): Buffer;
  toHttp2(target: string, edits: Edits): Field[];
  /** The same request with just these end-to-end fields (names in any case) in the place of its own; framing and Host stay. */
  withFields(fields: readonly FieldPair[]): RequestMessage;
}

/** What an answer says of how the call went: its head, or its trailers with the head's status. */
export interface AnswerHead {
  readonly status: number;
  header(name: string): string | null;
}

export interface ResponseMessage extends Message, AnswerHead {
  /** `close`: the connection ends with this answer. `chunked`: the body, whose size is not announced, will be sent in chunks. */
  toHttp1(edits: Edits, how: { readonly close: boolean; readonly chunked: boolean; readonly webSocket: boolean }): Buffer;
  toHttp2(edits: Edits): Field[];
}

/** Fields after a body. Valid only while they are told. */
export interface Trailers {
  /** Lines with the empty one after them, without what no trailer may be and what `removal` removes. */
  toHttp1(removal: Removal): string;
  toHttp2(removal: Removal): Field[];
}

/** Whoever answers a call. */
export interface DownstreamUser {
  onBody(data: Buffer): void;
  onEnd(trailers: Trailers | null): void;
  /** More of the answer may be written. */
  onDrain(): void;
  /** The caller went away, or broke the rules, before its call was complete. Comes at most once and is the last. */
  onAbort(): void;
}

/** A call that somebody made to us. */
export interface Downstream {
  readonly request: RequestMessage;
  /** Names who answers. To be called before the handler that got the call returns control to the event loop. */
  attach(user: DownstreamUser): void;
  /** True when the body came to its end. */
  readonly bodyEnded: boolean;
  /** Begins to give the body. Nothing of it is read before, so that a call that is refused costs nothing. */
  readBody(): void;
  pause(): void;
  resume(): void;
  /** Tells that bytes of the body were passed on: the sender may send as many again. Where there are no windows it does nothing. */
  consume(bytes: number): void;
  /** An answer before the answer: 100, 103. Not sent to callers that know none. */
  interim(response: ResponseMessage): void;
  /** The head of the answer; `end` when nothing follows it. `close`: the connection ends with it. */
  respond(response: ResponseMessage, edits: Edits, how: { readonly end: boolean; readonly close: boolean }): void;
  /** A piece of the answer's body. False when the writer should wait for `onDrain`. */
  write(data: Buffer): boolean;
  end(trailers: Trailers | null, removal: Removal): void;
  /** Ends the call so that the caller cannot take what it has for complete. `code` says why where there are codes for it, RFC 9113 §7. */
  abort(code?: number): void;
  /** After `respond` with 101 (or 200 to an extended CONNECT): the bytes of the connection, and those that came already. */
  switchProtocol(): { readonly link: Link; readonly rest: Buffer };
}

/** Whoever made a call by us. */
export interface UpstreamUser {
  onInterim(response: ResponseMessage): void;
  onResponse(response: ResponseMessage, end: boolean): void;
  onBody(data: Buffer): void;
  onEnd(trailers: Trailers | null): void;
  onDrain(): void;
  /**
   * It came to nothing, or broke off. `untouched`: nothing of it was taken by anybody, so that it may be sent again as if it
   * never had been. Comes at most once and is the last.
   */
  onFailed(error: Error, untouched: boolean): void;
}

/** A call that we make. */
export interface Upstream {
  write(data: Buffer): boolean;
  end(trailers: Trailers | null, removal: Removal): void;
  pause(): void;
  resume(): void;
  consume(bytes: number): void;
  /** Nobody wants it any more. */
  abort(): void;
  switchProtocol(): SwitchedUpstream;
}

/** A connection that switched protocols, and the bytes that came already. Whoever has it says when it ended. */
export interface SwitchedUpstream {
  readonly link: Link;
  readonly rest: Buffer;
  readonly ended: () => void;
}

/** Connections to one place under one identity. */
export interface UpstreamPool {
  /** Calls that are open or wait for a connection. */
  readonly load: number;
  /**
   * Makes a call: takes a connection or dials one, and sends the head. Answers and failures come by `user`, never before this
   * returns. A failure to dial comes as the DialError that it was.
   *
   * @param body false when nothing follows the head
   */
  call(request: RequestMessage, target: string, edits: Edits, body: boolean, user: UpstreamUser): Upstream;
  /** Takes nothing new; what is open may finish. */
  retire(): void;
}
