import { CR, HEX, HTAB, LF, SP } from '../bytes.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

/** Where a chunked body stands. */
const STEP = { SIZE: 0, EXTENSION: 1, SIZE_LF: 2, DATA: 3, DATA_CR: 4, DATA_LF: 5, END: 6 } as const;

/** Zeros in front count too: 13 digits pass 2^48. */
const MAX_SIZE_DIGITS = 13;
/** RFC 9112 §7.1.1: "A server ought to limit the total length of chunk extensions received in a request". */
const MAX_EXTENSION_BYTES = 256;
const MAX_EXTENSION_BYTES_OF_BODY = 4096;

/**
 * RFC 9112 §7.1: `chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF`, read byte by byte between the data, so that it
 * does not matter how the bytes were cut. Extensions are bounded and dropped.
 */
export class Chunked {
  refusal: Refusal | null = null;
  /** Bytes of data that are still to come in this chunk. */
  #left = 0;
  #digits = 0;
  #extension = 0;
  #extensions = 0;
  #step: number = STEP.SIZE;

  begin(): void {
    this.refusal = null;
    this.#extensions = 0;
    this.#startChunk();
  }

  /** True after the last chunk's line: trailers and the empty line come next. */
  get ended(): boolean {
    return this.#step === STEP.END;
  }

  /** The bytes of data at hand, 0 when framing comes first. */
  available(at: number, stop: number): number {
    return this.#step === STEP.DATA ? Math.min(this.#left, stop - at) : 0;
  }

  /** Tells that data was taken. */
  taken(count: number): void {
    this.#left -= count;
    if (this.#left === 0) this.#step = STEP.DATA_CR;
  }

  /** Reads framing up to the next data, the end or `stop`; returns where it got to. See {@link refusal}. */
  frame(buffer: Buffer, from: number, stop: number): number {
    let at = from;
    while (at < stop && this.#step !== STEP.DATA && this.#step !== STEP.END) {
      this.refusal = this.#byte(buffer[at]!);
      if (this.refusal) return at;
      at += 1;
    }
    return at;
  }

  #byte(byte: number): Refusal | null {
    switch (this.#step) {
      case STEP.SIZE:
        return this.#size(byte);
      case STEP.EXTENSION:
        return this.#extend(byte);
      case STEP.SIZE_LF:
        if (byte !== LF) return REFUSALS.chunkSize;
        this.#step = this.#left === 0 ? STEP.END : STEP.DATA;
        return null;
      case STEP.DATA_CR:
        this.#step = STEP.DATA_LF;
        return byte === CR ? null : REFUSALS.chunkEnd;
      default:
        this.#startChunk();
        return byte === LF ? null : REFUSALS.chunkEnd;
    }
  }

  /** RFC 9112 §7.1: `chunk-size = 1*HEXDIG`; "recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer conversion overflows". */
  #size(byte: number): Refusal | null {
    const digit = HEX[byte]!;
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      return this.#digits > MAX_SIZE_DIGITS ? REFUSALS.chunkSize : null;
    }
    if (this.#digits === 0) return REFUSALS.chunkSize;
    if (byte === CR) this.#step = STEP.SIZE_LF;
    // `chunk-ext = *( BWS ";" BWS chunk-ext-name … )`
    else if (byte === 0x3b) this.#step = STEP.EXTENSION;
    else return REFUSALS.chunkSize;
    return null;
  }

  #extend(byte: number): Refusal | null {
    if (byte === CR) {
      this.#step = STEP.SIZE_LF;
      return null;
    }
    this.#extension += 1;
    this.#extensions += 1;
    const printable = (byte >= SP && byte < 0x7f) || byte === HTAB;
    const tooLong = this.#extension > MAX_EXTENSION_BYTES || this.#extensions > MAX_EXTENSION_BYTES_OF_BODY;
    return printable && !tooLong ? null : REFUSALS.chunkExtension;
  }

  #startChunk(): void {
    this.#step = STEP.SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extension = 0;
  }
}
