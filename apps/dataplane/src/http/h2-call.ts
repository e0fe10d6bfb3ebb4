import type { Link } from '../link/link.ts';
import { compileRemoval, ERROR, field, type Field, type MessageHead, type Removal, type Stream } from '../wire/index.ts';
import type { Downstream, DownstreamUser, Edits, RequestMessage, ResponseMessage, Trailers } from './exchange.ts';
import { H2Body } from './h2-body.ts';
import type { Carrier } from './h2-carrier.ts';
import { H2Request } from './h2-message.ts';

const NOTHING = Buffer.alloc(0);
/** Nobody speaks in our name, in interim answers either. */
const INTERIM: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };
const SWITCHED = field(':status', '200');

/** A call that came by HTTP/2. */
export class H2Call implements Downstream {
  readonly request: RequestMessage;
  readonly #carrier: Carrier<H2Call>;
  readonly #stream: Stream<H2Call>;
  readonly #body = new H2Body<H2Call>(true);
  readonly #retire: () => void;
  #user: DownstreamUser | null = null;
  #done = false;

  constructor(carrier: Carrier<H2Call>, stream: Stream<H2Call>, head: MessageHead, ended: boolean, retire: () => void) {
    this.#carrier = carrier;
    this.#stream = stream;
    this.#retire = retire;
    this.request = new H2Request(head, ended);
    // What follows an extended CONNECT is no body.
    if (ended || this.request.webSocket) this.#body.ended = true;
  }

  get bodyEnded(): boolean {
    return this.#body.ended;
  }

  attach(user: DownstreamUser): void {
    this.#user = user;
    this.#body.attach(user);
  }

  readBody(): void {
    this.#body.resume();
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  consume(bytes: number): void {
    this.#carrier.connection.consume(this.#stream, bytes);
  }

  interim(response: ResponseMessage): void {
    this.#carrier.connection.respond(this.#stream, response.toHttp2(INTERIM), false);
  }

  respond(response: ResponseMessage, edits: Edits, how: { readonly end: boolean; readonly close: boolean }): void {
    let fields = response.toHttp2(edits);
    // RFC 8441 §5: what is 101 to an upgrade is 200 to an extended CONNECT.
    if (response.status === 101) fields = [SWITCHED, ...fields.slice(1).filter(({ name }) => name !== 'sec-websocket-accept')];
    this.#carrier.connection.respond(this.#stream, fields, how.end);
    if (how.close) this.#retire();
    if (how.end) this.#finish();
  }

  write(data: Buffer): boolean {
    return this.#carrier.connection.write(this.#stream, data, false);
  }

  end(trailers: Trailers | null, removal: Removal): void {
    const fields = trailers?.toHttp2(removal) ?? [];
    if (fields.length > 0) this.#carrier.connection.trailers(this.#stream, fields);
    else this.#carrier.connection.write(this.#stream, NOTHING, true);
    this.#finish();
  }

  abort(code: number = ERROR.INTERNAL_ERROR): void {
    this.#done = true;
    this.#body.drop();
    this.#carrier.connection.reset(this.#stream, code);
  }

  switchProtocol(): { readonly link: Link; readonly rest: Buffer } {
    return { link: this.#body.switch(this.#carrier, this.#stream), rest: NOTHING };
  }

  takeData(data: Buffer, end: boolean): void {
    // What nobody wants any more must not hold the connection's window.
    if (this.#done && this.#body.tunnel === null) this.consume(data.length);
    else this.#body.take(data, end);
  }

  takeTrailers(fields: readonly Field[]): void {
    this.#body.takeTrailers(fields);
  }

  drained(): void {
    if (this.#body.tunnel !== null) this.#body.tunnel.onDrain();
    else if (this.#done) this.#finish();
    else this.#user?.onDrain();
  }

  wasReset(code: number): void {
    if (this.#body.tunnel !== null) return this.#body.tunnel.onReset(code);
    this.#body.drop();
    if (this.#done) return;
    this.#done = true;
    this.#user?.onAbort();
  }

  /**
   * RFC 9113 §8.1: "a server MAY request that the client abort transmission of a request without error by sending a
   * RST_STREAM with an error code of NO_ERROR after sending a complete response". Data that waits goes first.
   */
  #finish(): void {
    this.#done = true;
    this.#body.drop();
    this.consume(this.#stream.unread);
    if (this.#stream.localEnded && !this.#stream.remoteEnded) this.#carrier.connection.reset(this.#stream, ERROR.NO_ERROR);
  }
}
