import type { Link, LinkUser } from '../link/link.ts';
import { flushSoon, type Sender } from '../link/turn.ts';
import { follow, forget, type Ticking } from './sweeper.ts';
import { Connection, ERROR, type Handler, type Options } from '../wire/index.ts';

/** How long, in seconds, the rest of a preface or head may take, a connection be idle, and a peer with open streams be silent. */
export interface Patience {
  readonly head: number;
  readonly idle: number;
  readonly silence: number;
  readonly ping: number;
}

export const WITH_CALLERS: Patience = { head: 10, idle: 300, silence: 60, ping: 20 };
/** gRPC's servers close connections that ask for a sign of life more often than every five minutes (gRFC A8). */
export const WITH_APPLICATIONS: Patience = { head: 10, idle: 90, silence: 330, ping: 20 };

/** What a carrier tells besides what the connection does. */
export interface CarrierUser<T> extends Omit<Handler<T>, 'onOutput' | 'onClosed'> {
  /** The other side's settings came. */
  onReady(): void;
  /** The connection is over, by a violation of the peer (`code` is not 0) or because the link is gone. Comes once. */
  onGone(code: number, reason: string): void;
  /** A failure of this program itself; the connection is broken. */
  onDefect(error: unknown): void;
}

/** Binds an HTTP/2 connection to a link: what a turn gives leaves in one piece, and whoever is silent or slow is not waited for. */
export class Carrier<T> implements LinkUser, Sender, Ticking {
  readonly link: Link;
  readonly connection: Connection<T>;
  /** How often bytes were handed to the link. */
  flushes = 0;
  readonly #user: CarrierUser<T>;
  readonly #patience: Patience;
  #scheduled = false;
  #full = false;
  #ready = false;
  #gone = false;
  #closing = false;
  /** Seconds without a byte, without a stream, and with the same half of a head. */
  #silent = 0;
  #idle = 0;
  #half = 0;
  #frames = 0;
  #leaving = 0;
  #asked = false;

  constructor(link: Link, options: Pick<Options, 'role'> & Partial<Options>, user: CarrierUser<T>, patience: Patience) {
    this.link = link;
    this.#user = user;
    this.#patience = patience;
    this.connection = new Connection<T>(options, {
      onHeaders: (stream, head, end) => user.onHeaders(stream, head, end),
      onData: (stream, data, end) => user.onData(stream, data, end),
      onTrailers: (stream, fields) => user.onTrailers(stream, fields),
      onReset: (stream, code, retryable) => user.onReset(stream, code, retryable),
      onDrain: (stream) => user.onDrain(stream),
      onGoAway: (code, debug) => user.onGoAway(code, debug),
      onRefused: (reason, code, told) => user.onRefused(reason, code, told),
      onClosed: (code, reason) => this.#over(code, reason),
      onOutput: () => this.#schedule(),
    });
  }

  /** Begins. Apart from the constructor because the user may be told at once. */
  start(): void {
    follow(this);
    this.connection.start();
    this.link.attach(this);
  }

  onData(chunk: Buffer): void {
    this.#silent = 0;
    this.#asked = false;
    if (!this.#gone) this.#guarded(() => this.#receive(chunk));
  }

  #receive(chunk: Buffer): void {
    this.connection.receive(chunk);
    if (this.#ready || this.#closing || this.connection.framesReceived === 0) return;
    this.#ready = true;
    this.#user.onReady();
  }

  onEnd(): void {
    // Nobody who sends no more can take part in HTTP/2: windows and acknowledgements go both ways.
    this.#guarded(() => this.connection.abort(ERROR.NO_ERROR, ''));
  }

  onDrain(): void {
    this.#full = false;
    this.flush();
  }

  onClose(): void {
    this.#gone = true;
    forget(this);
    this.#guarded(() => this.connection.abort(ERROR.NO_ERROR, ''));
  }

  get retiring(): boolean {
    return this.link.retiring;
  }

  /** Hands over what is to be sent, as long as the link takes it. */
  flush(): void {
    this.#scheduled = false;
    if (!this.#gone && !this.#full) this.#guarded(() => this.#send());
  }

  #send(): void {
    this.flushes += 1;
    for (const piece of this.connection.takeOutput()) if (!this.link.write(piece)) this.#full = true;
    if (this.#closing && this.connection.pendingBytes === 0) this.link.destroySoon();
  }

  /** Takes nothing new and closes when the last stream is done. RFC 9113 §6.8. */
  retire(): void {
    this.connection.shutdown(() => this.#closeWhenSent());
  }

  /** A second went by. */
  elapsed(): void {
    this.#guarded(() => this.#second());
  }

  #second(): void {
    const { connection } = this;
    const { head, idle, silence, ping } = this.#patience;
    if (this.#closing) {
      // The farewell may be stuck behind what the peer does not read.
      this.#leaving += 1;
      if (this.#leaving > ping) this.link.destroy();
      return;
    }
    connection.elapsed(1);
    this.#half = connection.waitsForRest && connection.framesReceived === this.#frames ? this.#half + 1 : 0;
    this.#frames = connection.framesReceived;
    if (this.#half > head) return connection.abort(ERROR.ENHANCE_YOUR_CALM, 'the rest of a head takes too long');
    this.#idle = connection.streamCount === 0 ? this.#idle + 1 : 0;
    if (this.#idle === idle) this.retire();
    // Whoever does not even answer the farewell.
    if (this.#idle > idle + ping) return this.#closeWhenSent();
    this.#silent += 1;
    if (this.#asked && this.#silent > ping) return connection.abort(ERROR.NO_ERROR, 'the peer is silent');
    if (this.#asked || this.#silent <= silence || connection.streamCount === 0) return;
    this.#asked = true;
    this.#silent = 0;
    connection.ping(() => undefined);
  }

  /** Nothing may throw into the event loop: that would end the process. */
  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.link.destroy(true);
      this.#user.onDefect(error);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    flushSoon(this);
  }

  #over(code: number, reason: string): void {
    this.#user.onGone(code, reason);
    this.#closeWhenSent();
  }

  /** What is in the output still goes out: it tells the peer why. */
  #closeWhenSent(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (!this.#gone) this.#schedule();
  }
}
