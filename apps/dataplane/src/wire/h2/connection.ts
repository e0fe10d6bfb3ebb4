import type { Field } from '../hpack/field.ts';
import { CLOSED } from './closed-streams.ts';
import { Core } from './core.ts';
import { FrameReader } from './frame-reader.ts';
import { DEFAULTS, type Handler, type Options } from './handler.ts';
import { ERROR, INITIAL_WINDOW, MAX_STREAM_ID, PREFACE, SETTING, TYPE } from './protocol.ts';
import { Receiver } from './receive.ts';
import { endStuck, pump, sendData, sendHeaders } from './send.ts';
import type { Stream } from './stream.ts';

/**
 * One HTTP/2 connection, RFC 9113, on either side, without a socket: bytes go in by {@link receive}, frames come out by
 * {@link takeOutput}. All frames of a turn are taken at once, for one write and one TLS record.
 *
 * Never throws for what the peer sends. Calls about a stream that is closed or that we ended are ignored, so that a
 * caller need not follow every race.
 */
export class Connection<T> {
  readonly #core: Core<T>;
  readonly #receiver: Receiver<T>;
  readonly #reader: FrameReader;

  constructor(options: Pick<Options, 'role'> & Partial<Options>, handler: Handler<T>) {
    const core = new Core<T>({ ...DEFAULTS, ...options }, handler);
    this.#core = core;
    this.#receiver = new Receiver(core);
    this.#reader = new FrameReader(this.#receiver, core.isServer);
  }

  /** Sends the preface and our settings. To be called first. */
  start(): void {
    const { output, isServer, options } = this.#core;
    if (!isServer) output.copy(PREFACE, 0, PREFACE.length);
    const settings: [id: number, value: number][] = [
      [SETTING.INITIAL_WINDOW_SIZE, options.streamWindow],
      [SETTING.MAX_HEADER_LIST_SIZE, 65_536],
      // RFC 9113 §6.5.2: "A server MUST NOT explicitly set" ENABLE_PUSH to 1; clients switch it off.
      isServer ? [SETTING.MAX_CONCURRENT_STREAMS, options.maxStreams] : [SETTING.ENABLE_PUSH, 0],
    ];
    if (isServer && options.extendedConnect) settings.push([SETTING.ENABLE_CONNECT_PROTOCOL, 1]);
    output.frame(TYPE.SETTINGS, 0, 0, settings.length * 6);
    for (const [id, value] of settings) {
      output.uint16(id);
      output.uint32(value);
    }
    if (options.connectionWindow > INITIAL_WINDOW) this.#core.sendWindowUpdate(0, options.connectionWindow - INITIAL_WINDOW);
  }

  /** Takes bytes from the peer. */
  receive(chunk: Buffer): void {
    this.#reader.receive(chunk);
  }

  /** Everything to be sent now, in order. To be asked for only when the peer takes bytes: what waits for that is bounded. */
  takeOutput(): Buffer[] {
    const pieces = this.#core.output.take();
    // Room again for data that waited.
    pump(this.#core);
    return pieces;
  }

  /** Bytes that {@link takeOutput} would give. */
  get pendingBytes(): number {
    return this.#core.output.bytes;
  }

  /** Frames that began to come, so far. */
  get framesReceived(): number {
    return this.#receiver.frames;
  }

  /** True while the peer has begun to say something (its preface, a head) and not finished: it must not take for ever. */
  get waitsForRest(): boolean {
    return this.#receiver.frames === 0 || this.#receiver.blocks.openFor > 0 || this.#reader.waitsForRest;
  }

  /** True when the connection is over: by either side's error, or because the socket is gone. */
  get closed(): boolean {
    return this.#core.closed;
  }

  get streamCount(): number {
    return this.#core.streams.size;
  }

  /** True when {@link open} would begin a stream. */
  get canOpen(): boolean {
    const { closed, isServer, goAwayReceived, acceptUpTo, ownStreams, peer, lastOwnStream } = this.#core;
    return !closed && !isServer && !goAwayReceived && acceptUpTo < 0 && ownStreams < peer.maxStreams && lastOwnStream < MAX_STREAM_ID - 1;
  }

  /** True when the peer said that it takes extended CONNECT, RFC 8441 §3: "A client … MUST NOT" send one otherwise. */
  get canExtend(): boolean {
    return this.#core.peer.extendedConnect;
  }

  /** Client: begins a stream with a request; null when that is not possible now, or at all when the peer says goodbye. */
  open(fields: readonly Field[], end: boolean, owner: T | null = null): Stream<T> | null {
    if (!this.canOpen) return null;
    const core = this.#core;
    const stream = core.open(core.lastOwnStream === 0 ? 1 : core.lastOwnStream + 2, true);
    stream.owner = owner;
    stream.method = fields.find(({ name }) => name === ':method')?.value ?? '';
    stream.headSent = true;
    sendHeaders(core, stream, fields, end);
    return stream;
  }

  /** Server: answers; interim heads too, which never end the stream. */
  respond(stream: Stream<T>, fields: readonly Field[], end: boolean): void {
    if (stream.closed || stream.localEnded || stream.headSent) return;
    stream.headSent = !isInterim(fields);
    // The head that opens a tunnel is ours, and comes before anybody was asked.
    if (stream.method !== 'CONNECT') stream.worked = stream.headSent;
    sendHeaders(this.#core, stream, fields, end && stream.headSent);
  }

  /** Server: answers a request that leads nowhere. Whoever sends many of them loses the connection, as with resets. */
  refuse(stream: Stream<T>, fields: readonly Field[]): void {
    this.respond(stream, fields, true);
    // RFC 9113 §8.1: a server may ask that the rest of the request be not sent.
    this.reset(stream, ERROR.NO_ERROR);
    this.#core.spend('refused');
  }

  /** Sends content, as far as windows allow. False when some of it waits: stop, and go on at `onDrain`. */
  write(stream: Stream<T>, data: Buffer, end: boolean): boolean {
    if (stream.closed || stream.localEnded || stream.endQueued) return true;
    return sendData(this.#core, stream, data, end);
  }

  /** Ends our side with trailers, after the content that waits. */
  trailers(stream: Stream<T>, fields: readonly Field[]): void {
    if (stream.closed || stream.localEnded || stream.endQueued) return;
    if (stream.queued === 0) return sendHeaders(this.#core, stream, fields, true);
    stream.endQueued = true;
    stream.trailers = fields;
  }

  /** Ends a stream before its time. */
  reset(stream: Stream<T>, code: number): void {
    if (stream.closed) return;
    this.#core.drop(stream, CLOSED.BY_US);
    this.#core.sendReset(stream.id, code);
  }

  /** Tells that bytes of `onData` were passed on: the peer may send as many again. */
  consume(stream: Stream<T>, bytes: number): void {
    const core = this.#core;
    const count = Math.min(bytes, stream.unread);
    stream.unread -= count;
    core.credit(count);
    stream.unacknowledged += count;
    if (stream.remoteEnded || stream.closed || core.closed || stream.unacknowledged < core.options.streamWindow / 2) return;
    stream.worked = true;
    stream.receiveWindow += stream.unacknowledged;
    core.sendWindowUpdate(stream.id, stream.unacknowledged);
    stream.unacknowledged = 0;
  }

  /** A question that every peer answers: `answered` is called then. */
  ping(answered: () => void): void {
    this.#core.ping(answered);
  }

  /**
   * Ends the connection gracefully. RFC 9113 §6.8: a server "SHOULD send an initial GOAWAY frame with the last stream
   * identifier set to 2^31-1 and a NO_ERROR code", and the real last one "after allowing time for any in-flight stream
   * creation": here when a PING after the first came back. `drained` is called when no stream is left.
   */
  shutdown(drained: () => void): void {
    this.#core.shutdown(drained);
  }

  /** Ends the connection at once; also when the socket is gone, so that open streams are told. */
  abort(code: number, reason: string): void {
    this.#core.fail(code, reason);
  }

  /** To be called about once a second: floods are rates, and there is no clock in here. Gives up idle memory too. */
  elapsed(seconds: number): void {
    this.#core.budgets.refill(seconds);
    endStuck(this.#core, seconds, this.#core.options.readerPatience);
    this.#core.output.release();
  }
}

function isInterim(fields: readonly Field[]): boolean {
  return fields[0]?.name === ':status' && fields[0].value.startsWith('1');
}
