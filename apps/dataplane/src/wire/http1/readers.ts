import { RequestHead, ResponseHead } from './head.ts';
import { type MessageHandler, MessageReader } from './reader.ts';
import { type Refusal, REFUSALS } from './refusals.ts';
import { settleRequest, settleResponse } from './rules.ts';
import { readRequestLine, readStatusLine } from './start-line.ts';

/** Reads requests: the server's side of a connection. */
export class RequestReader extends MessageReader<RequestHead> {
  protected override readonly emptyLines = 2;
  protected override readonly mayEnd = true;

  constructor(handler: MessageHandler<RequestHead>) {
    super(new RequestHead(), handler, false);
  }

  /** Goes on with the request after the one that ended: pipelined bytes are read now. */
  next(): void {
    this.advance();
  }

  protected override readStart(buffer: Buffer, at: number, stop: number): number {
    readRequestLine(buffer, at, stop, this.head.line);
    return this.head.line.next;
  }

  protected override settle(): Refusal | null {
    return settleRequest(this.head);
  }

  protected override isFinal(): boolean {
    return true;
  }
}

/** More interim responses than this to one request are an attack. */
const MAX_INTERIM = 16;

/** Reads responses: the client's side of a connection. Bytes that come before a request was sent stay unread: see `full`. */
export class ResponseReader extends MessageReader<ResponseHead> {
  protected override readonly emptyLines = 0;
  protected override readonly mayEnd = false;
  #method = '';
  #interim = 0;

  constructor(handler: MessageHandler<ResponseHead>) {
    super(new ResponseHead(), handler, true);
  }

  /** A request with this method was sent: its response comes next. */
  expect(method: string): void {
    this.#method = method;
    this.#interim = 0;
    this.advance();
  }

  protected override readStart(buffer: Buffer, at: number, stop: number): number {
    readStatusLine(buffer, at, stop, this.head.line);
    return this.head.line.next;
  }

  protected override settle(): Refusal | null {
    if (!this.isFinal()) this.#interim += 1;
    return this.#interim > MAX_INTERIM ? REFUSALS.interim : settleResponse(this.head, this.#method);
  }

  /** RFC 9110 §15.2: a 1xx response comes before the final one; after 101 the connection speaks another protocol. */
  protected override isFinal(): boolean {
    return this.head.status >= 200 || this.head.status === 101;
  }
}
