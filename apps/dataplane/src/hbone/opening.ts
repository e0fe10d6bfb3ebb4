import { ERROR, field, type MessageHead } from '../wire/index.ts';
import { HboneStream } from './stream.ts';
import type { StreamOwner, Tunnel, TunnelStream } from './tunnel.ts';

/** The other proxy answers at once, before it asks anybody: later than this means that it is not there. */
const ANSWER_MS = 3_000;
const METHOD = field(':method', 'CONNECT');

/** What became of a CONNECT: a link, or why there is none. Nothing of the call was sent. `elsewhere`: another connection may do. */
export type Opened = { readonly link: HboneStream } | { readonly link: null; readonly reason: string; readonly elsewhere: boolean };

/** Asks for a stream to `authority`. `tunnel` must be free. */
export function open(tunnel: Tunnel, authority: string): Promise<Opened> {
  return new Promise((resolve) => {
    // RFC 9113 §8.5: CONNECT has ":authority" with host and port, and neither ":scheme" nor ":path".
    const stream = tunnel.connection.open([METHOD, field(':authority', authority)], false);
    if (stream === null) return resolve({ link: null, reason: 'the connection takes no more streams', elsewhere: true });
    stream.owner = new Opening(tunnel, stream, resolve);
  });
}

/** A CONNECT that is not answered yet. */
class Opening implements StreamOwner {
  readonly #tunnel: Tunnel;
  readonly #stream: TunnelStream;
  readonly #resolve: (opened: Opened) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(tunnel: Tunnel, stream: TunnelStream, resolve: (opened: Opened) => void) {
    this.#tunnel = tunnel;
    this.#stream = stream;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => {
      tunnel.retire();
      this.#fail(`no answer within ${ANSWER_MS / 1000} s`, false);
    }, ANSWER_MS);
  }

  onHead({ status }: MessageHead): void {
    if (status < 200) return;
    // RFC 9110 §9.3.6: "Any 2xx (Successful) response indicates that the sender … will switch to tunnel mode".
    if (status >= 300) return this.#fail(`the proxy answers ${status}`, false);
    clearTimeout(this.#timer);
    const link = new HboneStream(this.#tunnel, this.#stream);
    this.#stream.owner = link;
    this.#resolve({ link });
  }

  onData(data: Buffer): void {
    // What follows a refusal is for people.
    this.#tunnel.connection.consume(this.#stream, data.length);
  }

  /** The connection ended, or the peer took no stream more: nobody refused the call itself. */
  onReset(code: number): void {
    this.#fail(`the stream was reset (HTTP/2 error ${code})`, true);
  }

  onDrain(): void {
    // Nothing was written.
  }

  #fail(reason: string, elsewhere: boolean): void {
    clearTimeout(this.#timer);
    this.#tunnel.connection.reset(this.#stream, ERROR.CANCEL);
    this.#resolve({ link: null, reason, elsewhere });
  }
}
