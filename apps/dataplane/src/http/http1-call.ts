import type { Link } from '../link/link.ts';
import { CHUNK_END, chunkStart, compileRemoval, type Fields, LAST_CHUNK, lastChunk, type Removal } from '../wire/index.ts';
import type { Downstream, DownstreamUser, Edits, ResponseMessage, Trailers } from './exchange.ts';
import { type Http1Request, Http1Trailers } from './http1-message.ts';

/** Nobody speaks in our name, in interim answers either. */
const INTERIM: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };
const AS_IS = { close: false, chunked: false, webSocket: false };

/** The connection under a call. */
export interface CallCarrier {
  write(data: Buffer): boolean;
  /** Gives the body from now on, or stops giving it. */
  read(wanted: boolean): void;
  /** The answer is complete. `close`: the connection ends with it. */
  finished(close: boolean): void;
  /** Ends the connection so that the caller cannot take what it has for complete. */
  break(): void;
  detach(): { readonly link: Link; readonly rest: Buffer };
  /** True when no further call should come. */
  readonly retiring: boolean;
}

/** A call that came by HTTP/1, RFC 9112. The next one of its connection begins when it is over. */
export class Http1Call implements Downstream {
  readonly request: Http1Request;
  bodyEnded: boolean;
  /** True once an answer began. */
  answering = false;
  /** True while the next piece of the body is wanted. */
  reading = false;
  readonly #carrier: CallCarrier;
  readonly #persistent: boolean;
  #user: DownstreamUser | null = null;
  #chunked = false;
  #close = false;
  #over = false;

  /** @param persistent false when the caller wants its connection to end with this call */
  constructor(carrier: CallCarrier, request: Http1Request, persistent: boolean) {
    this.#carrier = carrier;
    this.request = request;
    this.bodyEnded = request.size === 0;
    // RFC 9112 §9.3: a proxy does not keep connections of HTTP/1.0.
    this.#persistent = persistent && request.version === '1.1';
  }

  attach(user: DownstreamUser): void {
    this.#user = user;
  }

  readBody(): void {
    this.#read(true);
  }

  pause(): void {
    this.#read(false);
  }

  resume(): void {
    this.#read(true);
  }

  consume(): void {
    // There are no windows.
  }

  /** RFC 9110 §15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client." */
  interim(response: ResponseMessage): void {
    if (!this.#over && !this.answering && this.request.version !== '1.0') this.#carrier.write(response.toHttp1(INTERIM, AS_IS));
  }

  respond(response: ResponseMessage, edits: Edits, { end, close }: { readonly end: boolean; readonly close: boolean }): void {
    if (this.#over) return;
    const webSocket = response.status === 101;
    const sized = end || webSocket || response.size >= 0;
    this.answering = true;
    this.#chunked = !sized && this.request.version !== '1.0';
    // RFC 9112 §9.3: a connection whose request is not read to its end cannot be used again.
    this.#close = close || !this.#persistent || !this.bodyEnded || this.#carrier.retiring || (!sized && !this.#chunked);
    this.#carrier.write(response.toHttp1(edits, { close: this.#close, chunked: this.#chunked, webSocket }));
    if (end) this.#finish();
  }

  write(data: Buffer): boolean {
    if (this.#over || data.length === 0) return true;
    if (!this.#chunked) return this.#carrier.write(data);
    this.#carrier.write(chunkStart(data.length));
    this.#carrier.write(data);
    return this.#carrier.write(CHUNK_END);
  }

  end(trailers: Trailers | null, removal: Removal): void {
    if (this.#over) return;
    if (this.#chunked) this.#carrier.write(trailers === null ? LAST_CHUNK : lastChunk(trailers.toHttp1(removal)));
    this.#finish();
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#carrier.break();
  }

  switchProtocol(): { readonly link: Link; readonly rest: Buffer } {
    this.#over = true;
    return this.#carrier.detach();
  }

  // What the connection tells.

  takeBody(data: Buffer): void {
    this.#user?.onBody(data);
  }

  takeEnd(trailers: Fields | null): void {
    this.bodyEnded = true;
    this.reading = false;
    this.#user?.onEnd(trailers === null ? null : new Http1Trailers(trailers));
  }

  drained(): void {
    if (!this.#over) this.#user?.onDrain();
  }

  /** The caller went away or broke the rules. */
  lost(): void {
    if (this.#over) return;
    this.#over = true;
    this.#user?.onAbort();
  }

  #read(wanted: boolean): void {
    if (this.#over || this.bodyEnded) return;
    this.reading = wanted;
    this.#carrier.read(wanted);
  }

  #finish(): void {
    this.#over = true;
    this.#carrier.finished(this.#close);
  }
}
