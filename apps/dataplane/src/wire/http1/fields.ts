import { CLASS, COLON, CR, equalsIgnoreCase, HTAB, LF, SP, TOKEN, VALUE } from '../bytes.ts';
import { knownField, NOT_COUNTED } from './known-fields.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

/** What a scan came to. */
export const SCAN = { DONE: 0, MORE: -1, REFUSED: -2 } as const;

const MAX_FIELDS = 100;
const SLOTS = MAX_FIELDS + bitCount(NOT_COUNTED);

/** Name and value, the name in lower case. */
export type FieldPair = readonly [name: string, value: string];

const EMPTY = Buffer.alloc(0);

/**
 * The field lines of one message, as offsets into the bytes they came in: no text is made of a field until somebody asks.
 * One object serves all messages of a connection, so what it holds is valid until the next message is begun.
 */
export class Fields {
  buffer: Buffer = EMPTY;
  count = 0;
  /** Where the first line starts, and where the empty line after the last one does. */
  start = 0;
  end = 0;
  /** Where the next unread line starts. */
  next = 0;
  /** Which known fields there are, and which of them more than once. */
  seen = 0;
  repeated = 0;
  refusal: Refusal | null = null;
  /** Four for each field: start and end of its name, start and end of its value. */
  readonly #at = new Int32Array(SLOTS * 4);
  readonly #bits = new Uint16Array(SLOTS);

  begin(at: number): void {
    this.count = 0;
    this.start = at;
    this.end = at;
    this.next = at;
    this.seen = 0;
    this.repeated = 0;
    this.refusal = null;
  }

  /** Reads lines from {@link next} on, up to and with the empty one. To be called again with more bytes after MORE. */
  scan(buffer: Buffer, stop: number): number {
    this.buffer = buffer;
    for (;;) {
      const line = this.next;
      if (line + 1 < stop && buffer[line] === CR && buffer[line + 1] === LF) {
        this.end = line;
        this.next = line + 2;
        return SCAN.DONE;
      }
      const outcome = this.#line(buffer, line, stop);
      if (outcome < 0) return outcome;
      this.next = outcome;
    }
  }

  #line(buffer: Buffer, line: number, stop: number): number {
    let at = line;
    while (at < stop && (CLASS[buffer[at]!]! & TOKEN) !== 0) at += 1;
    if (at >= stop) return SCAN.MORE;
    if (buffer[at] !== COLON || at === line) return this.#refuse(buffer, at, stop, nameProblem(buffer, line, at));
    const nameEnd = at;
    at += 1;
    while (at < stop && (buffer[at] === SP || buffer[at] === HTAB)) at += 1;
    const valueStart = at;
    while (at < stop && (CLASS[buffer[at]!]! & VALUE) !== 0) at += 1;
    if (at + 1 >= stop) return at < stop && buffer[at] !== CR ? this.#refuse(buffer, at, stop, valueProblem(buffer, at)) : SCAN.MORE;
    if (buffer[at] !== CR || buffer[at + 1] !== LF) return this.#refuse(buffer, at, stop, valueProblem(buffer, at));
    let valueEnd = at;
    while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HTAB)) valueEnd -= 1;
    const bit = knownField(buffer, line, nameEnd);
    if (this.count >= MAX_FIELDS && this.#isFull(bit)) return this.#refuse(buffer, at, stop, REFUSALS.tooManyFields);
    this.#add(bit, line, nameEnd, valueStart, valueEnd);
    return at + 2;
  }

  /** The slots can hold the fields that count, and one of each that do not. */
  #isFull(bit: number): boolean {
    const counted = (bit & NOT_COUNTED) === 0 || (bit & this.seen) !== 0;
    return counted && this.count - bitCount(this.seen & NOT_COUNTED) >= MAX_FIELDS;
  }

  #add(bit: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    const slot = this.count * 4;
    this.#at[slot] = nameStart;
    this.#at[slot + 1] = nameEnd;
    this.#at[slot + 2] = valueStart;
    this.#at[slot + 3] = valueEnd;
    this.#bits[this.count] = bit;
    this.repeated |= this.seen & bit;
    this.seen |= bit;
    this.count += 1;
  }

  /** A line is judged when it has ended, so that the verdict does not depend on how the bytes were cut. */
  #refuse(buffer: Buffer, at: number, stop: number, refusal: Refusal): number {
    if (!lineEnds(buffer, at, stop)) return SCAN.MORE;
    this.refusal = refusal;
    return SCAN.REFUSED;
  }

  nameStart(index: number): number {
    return this.#at[index * 4]!;
  }

  nameEnd(index: number): number {
    return this.#at[index * 4 + 1]!;
  }

  valueStart(index: number): number {
    return this.#at[index * 4 + 2]!;
  }

  valueEnd(index: number): number {
    return this.#at[index * 4 + 3]!;
  }

  /** The bit of a known field, or 0. */
  bit(index: number): number {
    return this.#bits[index]!;
  }

  /** The index of the first field that is one of `bits`, or -1. */
  known(bits: number): number {
    if ((this.seen & bits) === 0) return -1;
    for (let i = 0; i < this.count; i += 1) if ((this.#bits[i]! & bits) !== 0) return i;
    return -1;
  }

  /** The index of the first field of this name (given in lower case) at or after `from`, or -1. */
  find(name: string, from = 0): number {
    for (let i = from; i < this.count; i += 1) if (equalsIgnoreCase(this.buffer, this.nameStart(i), this.nameEnd(i), name)) return i;
    return -1;
  }

  /** A field's value as text, one character for each byte. */
  value(index: number): string {
    return this.buffer.toString('latin1', this.valueStart(index), this.valueEnd(index));
  }

  /** A field's name in lower case. */
  name(index: number): string {
    return lowerName(this.buffer, this.nameStart(index), this.nameEnd(index));
  }

  /** All fields as text: for conditions on headers and for the access log. */
  list(): FieldPair[] {
    const list: FieldPair[] = [];
    for (let index = 0; index < this.count; index += 1) list.push([this.name(index), this.value(index)]);
    return list;
  }
}

/** Names that came lately, by a hash of their bytes: the same few come again and again. */
const NAMES: string[] = Array.from({ length: 256 }, () => '');
const MAX_REMEMBERED = 40;

function lowerName(buffer: Buffer, start: number, end: number): string {
  const length = end - start;
  const slot = (length * 31 + (buffer[start]! | 0x20) * 7 + (buffer[end - 1]! | 0x20) * 13 + (buffer[start + (length >>> 1)]! | 0x20)) & 0xff;
  const known = NAMES[slot]!;
  if (equalsIgnoreCase(buffer, start, end, known)) return known;
  const name = buffer.toString('latin1', start, end).toLowerCase();
  if (length <= MAX_REMEMBERED) NAMES[slot] = name;
  return name;
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** True when a line feed is within reach. */
export function lineEnds(buffer: Buffer, from: number, stop: number): boolean {
  const at = buffer.indexOf(LF, from);
  return at !== -1 && at < stop;
}

/** RFC 9112 §2.2: "a recipient that receives a bare CR within any protocol elements other than the content MUST consider that element to be invalid"; a bare LF as line end is a MAY, and how smuggling begins. */
const BY_BYTE: Readonly<Record<number, Refusal>> = { 0: REFUSALS.nul, [CR]: REFUSALS.bareCr, [LF]: REFUSALS.bareLf };

function nameProblem(buffer: Buffer, line: number, at: number): Refusal {
  const byte = buffer[at]!;
  const blank = byte === SP || byte === HTAB;
  // RFC 9112 §5.2: "A server that receives an obs-fold in a request message that is not within a "message/http" container MUST either reject the message …"
  if (blank && at === line) return REFUSALS.folded;
  // RFC 9112 §5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that contains whitespace between a header field name and colon."
  if (blank) return REFUSALS.spaceBeforeColon;
  return BY_BYTE[byte] ?? REFUSALS.fieldName;
}

function valueProblem(buffer: Buffer, at: number): Refusal {
  return BY_BYTE[buffer[at]!] ?? REFUSALS.fieldValue;
}
