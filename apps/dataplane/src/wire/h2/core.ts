import { Decoder } from '../hpack/decoder.ts';
import { Encoder } from '../hpack/encoder.ts';
import { type BudgetKind, Budgets } from './budgets.ts';
import { CLOSED, ClosedStreams } from './closed-streams.ts';
import type { Handler, Options } from './handler.ts';
import { MOST_FIELDS } from './message.ts';
import { Output } from './output.ts';
import { ERROR, INITIAL_WINDOW, MAX_STREAM_ID, TYPE } from './protocol.ts';
import { type PeerSettings, startSettings } from './settings.ts';
import { Stream } from './stream.ts';

const MAX_LIST = 64 * 1024;

/** What receiving and sending share: the tables, windows and limits of one connection. */
export class Core<T> {
  readonly options: Options;
  readonly handler: Handler<T>;
  readonly isServer: boolean;
  readonly output: Output;
  readonly encoder: Encoder;
  readonly decoder = new Decoder({ tableSize: 4096, listSize: MAX_LIST, fields: MOST_FIELDS });
  readonly budgets = new Budgets();
  readonly peer: PeerSettings = startSettings();
  readonly streams = new Map<number, Stream<T>>();
  readonly history = new ClosedStreams();
  /** Streams with data that waits. */
  readonly waiting = new Set<Stream<T>>();

  sendWindow = INITIAL_WINDOW;
  receiveWindow: number;
  /** Bytes that were consumed and not given back to the peer. */
  unacknowledged = 0;
  /** The highest stream that each side began. */
  lastPeerStream = 0;
  lastOwnStream = 0;
  /** Streams that the peer began and that are open, and ours. */
  peerStreams = 0;
  ownStreams = 0;
  /** The last stream that a GOAWAY of ours lets the peer have; none was sent while it is negative. */
  acceptUpTo = -1;
  /** True when the peer sent GOAWAY: no more streams of ours. */
  goAwayReceived = false;
  /** True when the connection is over. */
  closed = false;
  #pings = 0;
  readonly #answered = new Map<number, () => void>();
  #drained: (() => void) | null = null;

  constructor(options: Options, handler: Handler<T>) {
    this.options = options;
    this.handler = handler;
    this.isServer = options.role === 'server';
    this.output = new Output(() => handler.onOutput());
    this.encoder = new Encoder({ huffman: options.huffman, eager: false });
    this.receiveWindow = options.connectionWindow;
  }

  open(id: number, own: boolean): Stream<T> {
    const stream = new Stream<T>(id, this.peer.initialWindow, this.options.streamWindow);
    this.streams.set(id, stream);
    stream.known = own;
    if (own) {
      this.lastOwnStream = id;
      this.ownStreams += 1;
    } else {
      this.lastPeerStream = id;
      this.peerStreams += 1;
      this.budgets.earn('windowUpdate', 2);
      this.budgets.earn('priority', 1);
    }
    return stream;
  }

  /** RFC 9113 §5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers". Servers begin none here. */
  isPeers(id: number): boolean {
    return this.isServer === (id % 2 === 1);
  }

  /** True for a stream that neither side began. RFC 9113 §5.1: it takes nothing but HEADERS and PRIORITY. */
  isIdle(id: number): boolean {
    return id > (this.isPeers(id) ? this.lastPeerStream : this.lastOwnStream);
  }

  /** The stream leaves the table when both sides have ended it. */
  endedBySide(stream: Stream<T>): void {
    if (!stream.localEnded || !stream.remoteEnded || stream.closed) return;
    this.budgets.earn('reset', 1);
    this.budgets.earn('refused', 1);
    this.#remove(stream, CLOSED.DONE);
  }

  /** Ends a stream before its time. Bytes that nobody will read go back to the connection's window. */
  drop(stream: Stream<T>, how: number): void {
    if (stream.closed) return;
    this.credit(stream.unread);
    stream.unread = 0;
    this.#remove(stream, how);
  }

  #remove(stream: Stream<T>, how: number): void {
    stream.closed = true;
    stream.queue.length = 0;
    stream.queued = 0;
    this.streams.delete(stream.id);
    this.waiting.delete(stream);
    this.history.add(stream.id, how);
    if (this.isPeers(stream.id)) this.peerStreams -= 1;
    else this.ownStreams -= 1;
    this.#checkDrained();
  }

  ping(answered: () => void): void {
    this.#pings += 1;
    this.#answered.set(this.#pings, answered);
    this.output.frame(TYPE.PING, 0, 0, 8);
    this.output.uint32(0);
    this.output.uint32(this.#pings);
  }

  pong(number: number): void {
    const answered = this.#answered.get(number);
    if (!this.#answered.delete(number)) this.spend('ping');
    answered?.();
  }

  shutdown(drained: () => void): void {
    if (this.#drained || this.closed) return;
    this.#drained = drained;
    if (!this.isServer) return this.#refuseMore();
    this.sendGoAway(MAX_STREAM_ID, ERROR.NO_ERROR, '');
    this.ping(() => this.#refuseMore());
  }

  #refuseMore(): void {
    this.acceptUpTo = this.lastPeerStream;
    this.sendGoAway(this.lastPeerStream, ERROR.NO_ERROR, '');
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.acceptUpTo < 0 || this.streams.size > 0) return;
    this.#drained?.();
    this.#drained = null;
  }

  /** Resets a stream of ours or the peer's, whether we know it or not. */
  sendReset(id: number, code: number): void {
    this.output.frame(TYPE.RST_STREAM, 0, id, 4);
    this.output.uint32(code);
  }

  /** RFC 9113 §5.4.2: a stream error, which the peer caused: it is counted like a reset by the peer. */
  streamError(id: number, code: number, reason: string): void {
    const stream = this.streams.get(id);
    if (stream) this.drop(stream, CLOSED.BY_US);
    else if (this.history.how(id) !== CLOSED.BY_US) this.history.add(id, CLOSED.BY_US);
    this.sendReset(id, code);
    this.handler.onRefused(reason, code, stream?.known ?? false);
    if (stream?.known) this.handler.onReset(stream, code, false);
    this.spend('reset');
  }

  /** RFC 9113 §5.4.1: a connection error. Nothing is read after it. */
  fail(code: number, reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.sendGoAway(this.lastPeerStream, code, reason);
    for (const stream of this.streams.values()) {
      this.drop(stream, CLOSED.BY_US);
      if (stream.known) this.handler.onReset(stream, code, false);
    }
    this.handler.onClosed(code, reason);
  }

  /** RFC 9113 §10.5: "An endpoint MAY treat activity that is suspicious as a connection error of type ENHANCE_YOUR_CALM." */
  spend(kind: BudgetKind): boolean {
    if (this.budgets.spend(kind)) return true;
    this.fail(ERROR.ENHANCE_YOUR_CALM, `too many frames of one kind: ${kind}`);
    return false;
  }

  sendGoAway(last: number, code: number, reason: string): void {
    const debug = Buffer.from(reason, 'latin1');
    this.output.frame(TYPE.GOAWAY, 0, 0, 8 + debug.length);
    this.output.uint32(last);
    this.output.uint32(code);
    this.output.copy(debug, 0, debug.length);
  }

  /** Gives bytes back to the connection's window: told to the peer when it is half of it, not for each. */
  credit(bytes: number): void {
    this.unacknowledged += bytes;
    if (this.unacknowledged < this.options.connectionWindow / 2 || this.closed) return;
    this.receiveWindow += this.unacknowledged;
    this.sendWindowUpdate(0, this.unacknowledged);
    this.unacknowledged = 0;
  }

  sendWindowUpdate(id: number, increment: number): void {
    this.output.frame(TYPE.WINDOW_UPDATE, 0, id, 4);
    this.output.uint32(increment);
  }
}
