import { CLOSED } from './closed-streams.ts';
import { onGoAway, onPing, onReset, onSettings, onWindowUpdate } from './control.ts';
import type { Core } from './core.ts';
import type { FrameSink } from './frame-reader.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { ERROR, FLAG, FRAME_SIZE, TYPE } from './protocol.ts';
import type { Stream } from './stream.ts';

/** RFC 9113 §6: on what a frame of each type is sent, and how long it may be. */
interface Shape {
  readonly on: 'stream' | 'connection' | 'either';
  readonly min: number;
  readonly max: number;
}

const SHAPES: Readonly<Record<number, Shape | undefined>> = {
  [TYPE.DATA]: { on: 'stream', min: 0, max: FRAME_SIZE },
  [TYPE.HEADERS]: { on: 'stream', min: 0, max: FRAME_SIZE },
  [TYPE.PRIORITY]: { on: 'stream', min: 0, max: FRAME_SIZE },
  [TYPE.RST_STREAM]: { on: 'stream', min: 4, max: 4 },
  [TYPE.SETTINGS]: { on: 'connection', min: 0, max: FRAME_SIZE },
  [TYPE.PUSH_PROMISE]: { on: 'stream', min: 0, max: FRAME_SIZE },
  [TYPE.PING]: { on: 'connection', min: 8, max: 8 },
  [TYPE.GOAWAY]: { on: 'connection', min: 8, max: FRAME_SIZE },
  [TYPE.WINDOW_UPDATE]: { on: 'either', min: 4, max: 4 },
  [TYPE.CONTINUATION]: { on: 'stream', min: 0, max: FRAME_SIZE },
};
const UNKNOWN: Shape = { on: 'either', min: 0, max: FRAME_SIZE };

type PayloadHandler = <T>(receiver: Receiver<T>, buffer: Buffer, start: number, end: number) => void;

const ON_PAYLOAD: Readonly<Record<number, PayloadHandler | undefined>> = {
  [TYPE.DATA]: (receiver, buffer, start, end) => receiver.paddedData(buffer, start, end),
  [TYPE.HEADERS]: ({ blocks, flags, streamId }, buffer, start, end) => blocks.begin(streamId, flags, buffer, start, end),
  [TYPE.CONTINUATION]: ({ blocks, flags }, buffer, start, end) => blocks.continue(flags, buffer, start, end),
  [TYPE.PRIORITY]: (receiver, buffer, start, end) => receiver.priority(buffer, start, end),
  [TYPE.RST_STREAM]: ({ core, streamId }, buffer, start) => onReset(core, streamId, buffer.readUInt32BE(start)),
  [TYPE.SETTINGS]: ({ core, flags }, buffer, start, end) => onSettings(core, flags, buffer, start, end),
  // RFC 9113 §8.4: a client that set ENABLE_PUSH to 0 "MUST treat the receipt of a PUSH_PROMISE frame as a connection error … of type PROTOCOL_ERROR"; clients never push.
  [TYPE.PUSH_PROMISE]: ({ core }) => core.fail(ERROR.PROTOCOL_ERROR, 'a push that nobody allowed'),
  [TYPE.PING]: ({ core, flags }, buffer, start) => onPing(core, flags, buffer, start),
  [TYPE.GOAWAY]: ({ core }, buffer, start, end) => onGoAway(core, buffer, start, end),
  [TYPE.WINDOW_UPDATE]: ({ core, streamId }, buffer, start) => onWindowUpdate(core, streamId, buffer.readUInt32BE(start) & 0x7fff_ffff),
};

/** Takes the frames of a connection and turns them into what the handler is told. */
export class Receiver<T> implements FrameSink {
  readonly core: Core<T>;
  readonly blocks: HeaderBlocks<T>;
  type = 0;
  flags = 0;
  streamId = 0;
  /** How many frames began. */
  frames = 0;
  #length = 0;
  #first = true;
  /** The stream that DATA is for, null when the bytes are thrown away. */
  #stream: Stream<T> | null = null;

  constructor(core: Core<T>) {
    this.core = core;
    this.blocks = new HeaderBlocks(core);
  }

  get stopped(): boolean {
    return this.core.closed;
  }

  onBadPreface(): void {
    this.core.fail(ERROR.PROTOCOL_ERROR, 'no HTTP/2 preface');
  }

  onFrame(type: number, flags: number, streamId: number, length: number): void {
    this.frames += 1;
    this.type = type;
    this.flags = flags;
    this.streamId = streamId;
    this.#length = length;
    const problem = this.#orderProblem() ?? shapeProblem(type, streamId, length);
    if (problem) return this.core.fail(problem.code, problem.reason);
    if (type === TYPE.DATA) this.#beginData();
  }

  onPayload(buffer: Buffer, start: number, end: number): void {
    const handle = ON_PAYLOAD[this.type];
    // RFC 9113 §4.1: "Implementations MUST ignore and discard frames of unknown types."
    if (handle) handle(this, buffer, start, end);
    else this.core.spend('ignored');
  }

  onData(piece: Buffer, last: boolean): void {
    this.#tellData(piece, last && (this.flags & FLAG.END_STREAM) !== 0);
  }

  #orderProblem(): Problem | null {
    // RFC 9113 §3.4: the preface "MUST be followed by a SETTINGS frame", of which the server's "MUST be the first frame".
    if (this.#first && (this.type !== TYPE.SETTINGS || (this.flags & FLAG.ACK) !== 0)) return protocol('the first frame is not SETTINGS');
    this.#first = false;
    // RFC 9113 §6.2: "A receiver MUST treat the receipt of any other type of frame or a frame on a different stream as a connection error … of type PROTOCOL_ERROR."
    const continues = this.type === TYPE.CONTINUATION;
    const open = this.blocks.openFor;
    if (continues !== open > 0 || (continues && open !== this.streamId)) return protocol('a header block is interrupted, or continued without a beginning');
    return null;
  }

  /** RFC 9113 §6.9.1: the whole frame counts against the windows, on streams that are closed too. */
  #beginData(): void {
    const { core } = this;
    this.#stream = null;
    core.receiveWindow -= this.#length;
    if (core.receiveWindow < 0) return core.fail(ERROR.FLOW_CONTROL_ERROR, 'more data than the connection allows');
    const stream = core.streams.get(this.streamId);
    if (stream === undefined || stream.remoteEnded || !stream.headReceived) return this.#misplacedData(stream);
    stream.receiveWindow -= this.#length;
    if (stream.receiveWindow < 0) return core.streamError(stream.id, ERROR.FLOW_CONTROL_ERROR, 'more data than the stream allows');
    if (this.#length === 0 && (this.flags & FLAG.END_STREAM) === 0 && !core.spend('empty')) return;
    // Of a frame that makes the content too long, or ends it too early, no byte is told, however its bytes come. How much of a padded one is content is known with its payload.
    if ((this.flags & FLAG.PADDED) === 0 && !this.#checkContent(stream, this.#length)) return;
    this.#stream = stream;
  }

  #checkContent(stream: Stream<T>, length: number): boolean {
    if (!lengthProblem(stream, length, (this.flags & FLAG.END_STREAM) !== 0)) return true;
    this.core.streamError(stream.id, ERROR.PROTOCOL_ERROR, 'content differs from content-length');
    return false;
  }

  /** RFC 9113 §5.1: DATA on an idle stream is a connection error; on a half-closed or closed one STREAM_CLOSED, unless it crossed our reset. */
  #misplacedData(stream: Stream<T> | undefined): void {
    const { core, streamId } = this;
    if (core.isIdle(streamId)) return core.fail(ERROR.PROTOCOL_ERROR, 'DATA on a stream that nobody began');
    if (stream && !stream.remoteEnded) return core.streamError(streamId, ERROR.PROTOCOL_ERROR, 'DATA before the head');
    const how = core.history.how(streamId);
    if (stream === undefined && how === CLOSED.BY_US) {
      if (this.#length === 0) core.spend('ignored');
      return;
    }
    core.streamError(streamId, ERROR.STREAM_CLOSED, 'DATA after the end');
  }

  /** RFC 9113 §6.1: "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a connection error". */
  paddedData(buffer: Buffer, start: number, end: number): void {
    const padding = buffer[start];
    if (padding === undefined || padding >= end - start) return this.core.fail(ERROR.PROTOCOL_ERROR, 'more padding than frame');
    const stream = this.#stream;
    const data = Buffer.from(buffer.subarray(start + 1, end - padding));
    // Padding is consumed as it comes.
    if (stream) {
      stream.unacknowledged += padding + 1;
      // Padding alone is as empty as no byte.
      if (data.length === 0 && (this.flags & FLAG.END_STREAM) === 0) this.core.spend('empty');
    }
    this.core.credit(padding + 1);
    if (stream?.closed === false) this.#checkContent(stream, data.length);
    this.#tellData(data, (this.flags & FLAG.END_STREAM) !== 0);
  }

  #tellData(data: Buffer, end: boolean): void {
    const { core } = this;
    const stream = this.#stream;
    // A stream may be reset between the pieces of a frame.
    if (stream === null || stream.closed || core.closed) return core.credit(data.length);
    const { length } = data;
    stream.unread += length;
    if (end) {
      stream.remoteEnded = true;
      core.endedBySide(stream);
    }
    if (length > 0 || end) core.handler.onData(stream, data, end);
  }

  /** RFC 9113 §5.3.2: priorities are deprecated; §6.3: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error … of type FRAME_SIZE_ERROR." */
  priority(buffer: Buffer, start: number, end: number): void {
    const { core, streamId } = this;
    if (end - start !== 5) return core.streamError(streamId, ERROR.FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
    // RFC 7540 §5.3.1: "A stream cannot depend on itself." Nobody who means well says so, and the stream may be idle, which cannot be reset.
    if ((buffer.readUInt32BE(start) & 0x7fff_ffff) === streamId) return core.fail(ERROR.PROTOCOL_ERROR, 'a stream that depends on itself');
    core.spend('priority');
  }
}

/** RFC 9113 §8.1.1: "A request or response that is defined as having content when it contains a Content-Length header field is malformed if the value of a Content-Length header field does not equal the sum of the DATA frame payload lengths". */
function lengthProblem<T>(stream: Stream<T>, length: number, end: boolean): boolean {
  if (stream.contentLeft < 0) return false;
  stream.contentLeft -= length;
  return stream.contentLeft < 0 || (end && stream.contentLeft > 0);
}

interface Problem {
  readonly code: number;
  readonly reason: string;
}

function protocol(reason: string): Problem {
  return { code: ERROR.PROTOCOL_ERROR, reason };
}

function shapeProblem(type: number, streamId: number, length: number): Problem | null {
  const { on, min, max } = SHAPES[type] ?? UNKNOWN;
  // RFC 9113 §4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in SETTINGS_MAX_FRAME_SIZE, exceeds any limit defined for the frame type, or is too small to contain mandatory frame data."
  if (length < min || length > max) return { code: ERROR.FRAME_SIZE_ERROR, reason: 'a frame of a wrong size' };
  if (on === 'stream' && streamId === 0) return protocol('a frame of a stream on the connection');
  if (on === 'connection' && streamId !== 0) return protocol('a frame of the connection on a stream');
  return null;
}
