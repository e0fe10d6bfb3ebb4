import { FLAG, FRAME_HEADER, PREFACE, TYPE } from './protocol.ts';

/** Who takes the frames. Once `stopped`, nothing more is read. */
export interface FrameSink {
  readonly stopped: boolean;
  onBadPreface(): void;
  /** A frame begins. What follows is its payload: `onData` for DATA without padding, else `onPayload`. */
  onFrame(type: number, flags: number, streamId: number, length: number): void;
  /** A piece of DATA, as large as it came. */
  onData(piece: Buffer, last: boolean): void;
  /** The whole payload. The bytes are not the sink's to keep. */
  onPayload(buffer: Buffer, start: number, end: number): void;
}

const NOTHING = Buffer.alloc(0);
const STAGE = { PREFACE: 0, HEADER: 1, DATA: 2, PAYLOAD: 3 } as const;

/** RFC 9113 §4.1: cuts the bytes of a connection into frames. DATA is passed on as it comes, other payloads are small and made whole. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(FRAME_HEADER);
  #stage: number;
  /** Bytes of the preface, frame header or payload that are here. */
  #filled = 0;
  #length = 0;
  #payload: Buffer = NOTHING;

  constructor(sink: FrameSink, expectsPreface: boolean) {
    this.#sink = sink;
    this.#stage = expectsPreface ? STAGE.PREFACE : STAGE.HEADER;
  }

  /** True while a part of the preface, or of a frame that is told whole, is here and the rest is not. */
  get waitsForRest(): boolean {
    return this.#stage === STAGE.PREFACE || this.#stage === STAGE.PAYLOAD || (this.#stage === STAGE.HEADER && this.#filled > 0);
  }

  receive(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#sink.stopped) at = this.#step(chunk, at);
  }

  #step(chunk: Buffer, at: number): number {
    switch (this.#stage) {
      case STAGE.PREFACE:
        return this.#readPreface(chunk, at);
      case STAGE.HEADER:
        return this.#readHeader(chunk, at);
      case STAGE.DATA:
        return this.#readData(chunk, at);
      default:
        return this.#readPayload(chunk, at);
    }
  }

  #readPreface(chunk: Buffer, at: number): number {
    if (chunk[at] !== PREFACE[this.#filled]) {
      this.#sink.onBadPreface();
      return chunk.length;
    }
    this.#filled += 1;
    if (this.#filled === PREFACE.length) {
      this.#filled = 0;
      this.#stage = STAGE.HEADER;
    }
    return at + 1;
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#filled === 0 && chunk.length - at >= FRAME_HEADER) {
      this.#begin(chunk, at);
      return at + FRAME_HEADER;
    }
    const take = Math.min(FRAME_HEADER - this.#filled, chunk.length - at);
    chunk.copy(this.#header, this.#filled, at, at + take);
    this.#filled += take;
    if (this.#filled === FRAME_HEADER) this.#begin(this.#header, 0);
    return at + take;
  }

  #begin(from: Buffer, at: number): void {
    const length = (from[at]! << 16) | (from[at + 1]! << 8) | from[at + 2]!;
    const type = from[at + 3]!;
    const flags = from[at + 4]!;
    // RFC 9113 §4.1: the reserved bit "MUST be ignored when receiving".
    const streamId = ((from[at + 5]! & 0x7f) << 24) | (from[at + 6]! << 16) | (from[at + 7]! << 8) | from[at + 8]!;
    this.#filled = 0;
    this.#length = length;
    const streams = type === TYPE.DATA && (flags & FLAG.PADDED) === 0;
    this.#stage = length === 0 ? STAGE.HEADER : streams ? STAGE.DATA : STAGE.PAYLOAD;
    this.#sink.onFrame(type, flags, streamId, length);
    if (length > 0 || this.#sink.stopped) return;
    if (streams) this.#sink.onData(NOTHING, true);
    else this.#sink.onPayload(NOTHING, 0, 0);
  }

  #readData(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#length - this.#filled);
    this.#filled += end - at;
    const last = this.#filled === this.#length;
    if (last) this.#next();
    this.#sink.onData(chunk.subarray(at, end), last);
    return end;
  }

  #readPayload(chunk: Buffer, at: number): number {
    const length = this.#length;
    if (this.#filled === 0 && chunk.length - at >= length) {
      this.#next();
      this.#sink.onPayload(chunk, at, at + length);
      return at + length;
    }
    if (this.#filled === 0) this.#payload = Buffer.allocUnsafe(length);
    const end = Math.min(chunk.length, at + length - this.#filled);
    chunk.copy(this.#payload, this.#filled, at, end);
    this.#filled += end - at;
    if (this.#filled === length) {
      const payload = this.#payload;
      this.#payload = NOTHING;
      this.#next();
      this.#sink.onPayload(payload, 0, length);
    }
    return end;
  }

  #next(): void {
    this.#filled = 0;
    this.#stage = STAGE.HEADER;
  }
}
