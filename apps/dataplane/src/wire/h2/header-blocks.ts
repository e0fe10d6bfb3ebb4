import type { Block } from '../hpack/decoder.ts';
import { CompressionError } from '../hpack/errors.ts';
import { field } from '../hpack/field.ts';
import { CLOSED } from './closed-streams.ts';
import type { Core } from './core.ts';
import { areTooMany, type HeadReading, readRequest, readResponse, trailerProblem } from './message.ts';
import { ERROR, FLAG } from './protocol.ts';
import { sendHeaders } from './send.ts';
import type { Stream } from './stream.ts';

/** CVE-2024-27316 and its kin: a block has so many bytes and frames at most. */
const MAX_BLOCK = 64 * 1024;
const MAX_FRAMES = 16;
const TOO_LARGE = [field(':status', '431'), field('content-length', '0')];

/** Puts header blocks together, decodes them and gives them to their streams. */
export class HeaderBlocks<T> {
  readonly #core: Core<T>;
  /** The stream whose block is open, else 0. */
  openFor = 0;
  #end = false;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(core: Core<T>) {
    this.#core = core;
  }

  /** RFC 9113 §6.2: HEADERS, without its padding and priority. */
  begin(streamId: number, flags: number, buffer: Buffer, start: number, end: number): void {
    const core = this.#core;
    const padded = (flags & FLAG.PADDED) !== 0;
    const prioritised = (flags & FLAG.PRIORITY) !== 0;
    const from = start + (padded ? 1 : 0) + (prioritised ? 5 : 0);
    const to = padded ? end - (buffer[start] ?? 0) : end;
    if (from > end) return core.fail(ERROR.FRAME_SIZE_ERROR, 'HEADERS too short for its flags');
    if (from > to) return core.fail(ERROR.PROTOCOL_ERROR, 'more padding than frame');
    // RFC 7540 §5.3.1: "A stream cannot depend on itself."
    const itself = prioritised && (buffer.readUInt32BE(from - 5) & 0x7fff_ffff) === streamId;
    this.#end = (flags & FLAG.END_STREAM) !== 0;
    if ((flags & FLAG.END_HEADERS) !== 0) return this.#complete(streamId, buffer, from, to, itself);
    this.openFor = streamId;
    this.#parts = [Buffer.from(buffer.subarray(from, to))];
    this.#bytes = to - from;
  }

  continue(flags: number, buffer: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(buffer.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#bytes > MAX_BLOCK || this.#parts.length > MAX_FRAMES) return this.#core.fail(ERROR.ENHANCE_YOUR_CALM, 'a header block without end');
    if ((flags & FLAG.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#parts);
    const streamId = this.openFor;
    this.#parts = [];
    this.openFor = 0;
    this.#complete(streamId, block, 0, block.length, false);
  }

  #complete(streamId: number, buffer: Buffer, start: number, end: number, itself: boolean): void {
    const core = this.#core;
    const block = this.#decode(buffer, start, end);
    if (block === null) return;
    const known = core.streams.get(streamId);
    const stream = known ?? this.#begun(streamId);
    if (stream === null) return;
    if (itself) return core.streamError(streamId, ERROR.PROTOCOL_ERROR, 'a stream that depends on itself');
    // RFC 9113 §5.1: on a half-closed (remote) stream anything but WINDOW_UPDATE, PRIORITY or RST_STREAM is STREAM_CLOSED.
    if (stream.remoteEnded) return core.streamError(streamId, ERROR.STREAM_CLOSED, 'HEADERS after the end');
    if (block.tooLarge || areTooMany(block.fields)) return this.#tooLarge(stream);
    if (stream.headReceived) return this.#trailers(stream, block);
    this.#head(stream, block);
  }

  #decode(buffer: Buffer, start: number, end: number): Block | null {
    try {
      return this.#core.decoder.decode(buffer, start, end);
    } catch (error) {
      // RFC 9113 §4.3: "A decoding error in a field block MUST be treated as a connection error … of type COMPRESSION_ERROR."
      if (!(error instanceof CompressionError)) throw error;
      this.#core.fail(ERROR.COMPRESSION_ERROR, error.message);
      return null;
    }
  }

  /** The stream that this block begins, or null when it begins none. */
  #begun(id: number): Stream<T> | null {
    const core = this.#core;
    if (!core.isIdle(id)) return this.#late(id);
    // RFC 9113 §5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a connection error … of type PROTOCOL_ERROR."
    if (!core.isServer || !core.isPeers(id)) {
      core.fail(ERROR.PROTOCOL_ERROR, 'a stream that the peer may not begin');
      return null;
    }
    // RFC 9113 §6.8: streams after a GOAWAY are ignored; §5.1.2: those beyond the limit are refused. Both may be tried again elsewhere.
    const unwanted = core.acceptUpTo >= 0 && id > core.acceptUpTo;
    if (unwanted || core.peerStreams >= core.options.maxStreams) {
      core.lastPeerStream = id;
      core.streamError(id, ERROR.REFUSED_STREAM, unwanted ? 'a stream after GOAWAY' : 'too many streams');
      return null;
    }
    return core.open(id, false);
  }

  /** A block for a stream that is gone. */
  #late(id: number): null {
    const core = this.#core;
    const how = core.history.how(id);
    // It crossed our reset.
    if (how === CLOSED.BY_US) core.spend('ignored');
    else if (how === 0) core.fail(ERROR.PROTOCOL_ERROR, 'a stream number that was passed over');
    else core.fail(ERROR.STREAM_CLOSED, 'HEADERS on a closed stream');
    return null;
  }

  #tooLarge(stream: Stream<T>): void {
    const core = this.#core;
    // RFC 6585 §5: 431 tells the client why.
    if (core.isServer && !stream.headSent) sendHeaders(core, stream, TOO_LARGE, true);
    if (!this.#end || stream.known) return this.#breakTooLarge(stream);
    // Answered and over on both sides, but it costs like a reset: a small block may stand for a head of 64 KiB.
    core.drop(stream, CLOSED.DONE);
    core.handler.onRefused('the headers are too large', ERROR.NO_ERROR, false);
    core.spend('reset');
  }

  #breakTooLarge(stream: Stream<T>): void {
    const core = this.#core;
    core.streamError(stream.id, core.isServer ? ERROR.NO_ERROR : ERROR.PROTOCOL_ERROR, 'the headers are too large');
  }

  #head(stream: Stream<T>, { fields }: Block): void {
    const core = this.#core;
    const reading = core.isServer ? readRequest(fields) : readResponse(fields);
    const problem = core.isServer ? reading.request(core.options.extendedConnect) : reading.response();
    const end = this.#end;
    if (problem !== null) return core.streamError(stream.id, ERROR.PROTOCOL_ERROR, problem);
    const interim = !core.isServer && reading.head.status < 200;
    if (interim && end) return core.streamError(stream.id, ERROR.PROTOCOL_ERROR, 'an interim response that ends the stream');
    if (interim && !core.spend('ignored')) return;
    if (!interim) this.#expectContent(stream, reading);
    if (end && stream.contentLeft > 0) return core.streamError(stream.id, ERROR.PROTOCOL_ERROR, 'content differs from content-length');
    stream.known = true;
    if (end) this.#ended(stream);
    core.handler.onHeaders(stream, reading.head, end);
  }

  #expectContent(stream: Stream<T>, { head }: HeadReading): void {
    stream.headReceived = true;
    if (this.#core.isServer) stream.method = head.method;
    stream.contentLeft = head.contentLength;
    // RFC 9110 §6.4.1: responses to HEAD, 204 and 304 have no content, whatever length they announce.
    const none = !this.#core.isServer && (stream.method === 'HEAD' || head.status === 204 || head.status === 304);
    if (none) stream.contentLeft = 0;
    // RFC 9113 §8.5: a tunnel carries bytes, not content.
    if (stream.method === 'CONNECT' && (this.#core.isServer || head.status < 300)) stream.contentLeft = -1;
  }

  #trailers(stream: Stream<T>, { fields }: Block): void {
    const core = this.#core;
    // RFC 9113 §8.1: "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that opens a request or after receiving a final … status code MUST treat the corresponding request or response as malformed".
    const problem = this.#end ? trailerProblem(fields) : 'trailers that do not end the stream';
    if (problem !== null) return core.streamError(stream.id, ERROR.PROTOCOL_ERROR, problem);
    if (stream.contentLeft > 0) return core.streamError(stream.id, ERROR.PROTOCOL_ERROR, 'content differs from content-length');
    this.#ended(stream);
    core.handler.onTrailers(stream, fields);
  }

  #ended(stream: Stream<T>): void {
    stream.remoteEnded = true;
    this.#core.endedBySide(stream);
  }
}
