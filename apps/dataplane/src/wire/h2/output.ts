import { FRAME_HEADER } from './protocol.ts';

/** Frames go one after the other into a slab of this size; the parts of it that were taken are never written again. */
const SLAB = 32 * 1024;
/** Larger payloads are passed on by reference: copying would cost more than one more piece to write. */
const COPY = 8 * 1024;
const NOTHING = Buffer.alloc(0);

/** The frames of one turn, side by side, so that they leave in one write and one TLS record. */
export class Output {
  /** Bytes that wait to be taken. */
  bytes = 0;
  readonly #onFirst: () => void;
  #slab: Buffer = NOTHING;
  #from = 0;
  #at = 0;
  #pieces: Buffer[] = [];

  /** @param onFirst called when there is something to take and there was nothing before */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
  }

  /** RFC 9113 §4.1: a frame's header; its payload is written next. */
  frame(type: number, flags: number, streamId: number, length: number): void {
    this.#reserve(FRAME_HEADER + Math.min(length, COPY));
    const slab = this.#slab;
    const at = this.#at;
    slab[at] = length >>> 16;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = length;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    put32(slab, at + 5, streamId);
    this.#advance(FRAME_HEADER);
  }

  uint16(value: number): void {
    this.#slab[this.#at] = value >>> 8;
    this.#slab[this.#at + 1] = value;
    this.#advance(2);
  }

  uint32(value: number): void {
    put32(this.#slab, this.#at, value);
    this.#advance(4);
  }

  /** Payload bytes. Large ones must not change until they were written. */
  payload(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > COPY) {
      this.#closePiece();
      this.#pieces.push(buffer.subarray(start, end));
      this.bytes += length;
      return;
    }
    this.copy(buffer, start, end);
  }

  /** Payload bytes, a frame's worth at most, that the caller goes on to change. */
  copy(buffer: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    buffer.copy(this.#slab, this.#at, start, end);
    this.#advance(end - start);
  }

  take(): Buffer[] {
    this.#closePiece();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.bytes = 0;
    return pieces;
  }

  /** Gives up memory that only a busy connection needs. */
  release(): void {
    if (this.bytes === 0) {
      this.#slab = NOTHING;
      this.#from = 0;
      this.#at = 0;
    }
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#slab.length) return;
    this.#closePiece();
    this.#slab = Buffer.allocUnsafeSlow(SLAB);
    this.#from = 0;
    this.#at = 0;
  }

  #advance(count: number): void {
    this.#at += count;
    this.bytes += count;
    if (this.bytes === count) this.#onFirst();
  }

  #closePiece(): void {
    if (this.#at > this.#from) this.#pieces.push(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

function put32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}
