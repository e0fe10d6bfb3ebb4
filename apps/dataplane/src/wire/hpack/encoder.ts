import { writeLatin1 } from '../bytes.ts';
import { DynamicTable } from './dynamic-table.ts';
import { Field, INDEXING } from './field.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { STATIC_NAMES, STATIC_SIZE } from './static-table.ts';

export interface EncoderOptions {
  /** Smaller but slower: worth it towards far peers. */
  readonly huffman: boolean;
  /** Index every field at once. Otherwise one earns its place when it comes a second time, so that ids in paths evict nothing. */
  readonly eager: boolean;
}

/** A field in the table, with its number since the beginning. */
interface Kept {
  readonly value: string;
  readonly number: number;
}

/** Slots of the filter that remembers what came once. */
const FILTER = 512;
/** Ours, whatever a peer would allow. */
const MAX_TABLE = 4096;
/** Flags and lengths around a name and value. */
const OVERHEAD = 16;

/** RFC 7541: encodes header blocks of one direction of a connection. */
export class Encoder {
  /** Holds the block that was encoded last. */
  buffer: Buffer = Buffer.allocUnsafe(1024);
  readonly #options: EncoderOptions;
  readonly #table: DynamicTable;
  /** The values of a name in the table, oldest first. */
  readonly #kept = new Map<string, Kept[]>();
  readonly #seen = new Uint32Array(FILTER);
  #added = 0;
  #pendingMin = -1;
  #pendingMax = -1;

  constructor(options: EncoderOptions) {
    this.#options = options;
    this.#table = new DynamicTable(MAX_TABLE, (evicted) => this.#forget(evicted));
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. RFC 7541 §4.2: the change is told at the beginning of the next block, with the smallest size in between. */
  setTableSize(limit: number): void {
    const size = Math.min(limit, MAX_TABLE);
    if (size === this.#table.max) return;
    this.#pendingMin = this.#pendingMin < 0 ? size : Math.min(this.#pendingMin, size);
    this.#pendingMax = size;
    this.#table.resize(size);
  }

  /** Encodes into {@link buffer} and returns how many bytes. */
  encode(fields: readonly Field[]): number {
    let at = 0;
    if (this.#pendingMax >= 0) at = this.#sizeUpdate();
    for (const field of fields) at = this.#field(field, at);
    return at;
  }

  #sizeUpdate(): number {
    let at = 0;
    if (this.#pendingMin < this.#pendingMax) at = this.#integer(0x20, 0x1f, this.#pendingMin, at);
    at = this.#integer(0x20, 0x1f, this.#pendingMax, at);
    this.#pendingMin = -1;
    this.#pendingMax = -1;
    return at;
  }

  #field(field: Field, at: number): number {
    // A code can be up to 30 bits for a byte.
    this.#reserve(at, field.name.length * 4 + field.value.length * 4 + OVERHEAD);
    const fixed = STATIC_NAMES.get(field.name);
    if (field.indexing === INDEXING.NEVER) return this.#literal(0x10, 0x0f, fixed?.index ?? this.#indexOfName(field.name), field, at);
    const index = fixed?.values.get(field.value) ?? this.#indexOf(field);
    if (index > 0) return this.#integer(0x80, 0x7f, index, at);
    const name = fixed?.index ?? this.#indexOfName(field.name);
    const keep = this.#options.eager || this.#isWorthKeeping(field);
    const end = keep ? this.#literal(0x40, 0x3f, name, field, at) : this.#literal(0x00, 0x0f, name, field, at);
    if (keep) this.#add(field);
    return end;
  }

  #literal(flags: number, mask: number, name: number, field: Field, from: number): number {
    let at = this.#integer(flags, mask, name, from);
    if (name === 0) at = this.#string(field.name, at);
    return this.#string(field.value, at);
  }

  #string(text: string, from: number): number {
    const coded = this.#options.huffman ? huffmanLength(text) : Infinity;
    if (coded <= text.length) return encodeHuffman(text, this.buffer, this.#integer(0x80, 0x7f, coded, from));
    return writeLatin1(this.buffer, this.#integer(0, 0x7f, text.length, from), text);
  }

  #integer(flags: number, mask: number, value: number, from: number): number {
    const out = this.buffer;
    let at = from;
    if (value < mask) {
      out[at] = flags | value;
      return at + 1;
    }
    out[at++] = flags | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
    out[at++] = rest;
    return at;
  }

  #indexOf(field: Field): number {
    const kept = this.#kept.get(field.name);
    if (kept === undefined) return 0;
    for (const each of kept) if (each.value === field.value) return this.#index(each);
    return 0;
  }

  #indexOfName(name: string): number {
    const kept = this.#kept.get(name)?.at(-1);
    return kept === undefined ? 0 : this.#index(kept);
  }

  #index({ number }: Kept): number {
    return STATIC_SIZE + this.#added - number;
  }

  #add(field: Field): void {
    if (!this.#table.add(field)) return;
    const kept = this.#kept.get(field.name);
    const entry = { value: field.value, number: this.#added };
    this.#added += 1;
    if (kept) kept.push(entry);
    else this.#kept.set(field.name, [entry]);
  }

  #forget({ name }: Field): void {
    const kept = this.#kept.get(name);
    kept?.shift();
    if (kept?.length === 0) this.#kept.delete(name);
  }

  /** Not larger than a quarter of the table, and here for the second time. May err rarely: then a field is indexed early or late, no more. */
  #isWorthKeeping({ name, value, size }: Field): boolean {
    if (size > this.#table.max / 4) return false;
    let hash = 0x811c9dc5 ^ name.length;
    for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    for (let i = 0; i < value.length; i += 1) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193);
    const slot = hash & (FILTER - 1);
    const before = this.#seen[slot] === hash >>> 0;
    this.#seen[slot] = hash;
    return before;
  }

  #reserve(at: number, count: number): void {
    if (at + count <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe((at + count) * 2);
    this.buffer.copy(larger, 0, 0, at);
    this.buffer = larger;
  }
}
