import { DynamicTable } from './dynamic-table.ts';
import { CompressionError } from './errors.ts';
import { Field, INDEXING, type Indexing } from './field.ts';
import { decodeHuffman } from './huffman.ts';
import { STATIC, STATIC_SIZE } from './static-table.ts';

/** A decoded header block. Past the limits fields are decoded, to keep the tables right, but not kept. */
export interface Block {
  readonly fields: Field[];
  /** RFC 9113 §6.5.2: "the uncompressed size of field lines, including the length of the name and value … plus an overhead of 32 octets for each field line". */
  size: number;
  tooLarge: boolean;
}

export interface DecoderLimits {
  /** What we announced as SETTINGS_HEADER_TABLE_SIZE. */
  readonly tableSize: number;
  readonly listSize: number;
  readonly fields: number;
}

/**
 * RFC 7541: decodes header blocks of one direction of a connection.
 *
 * The work is in proportion to the bytes of the block: a block that repeats an indexed field a thousand times makes a
 * thousand references to one object, counts them in full, and stops keeping them at the limit.
 */
export class Decoder {
  readonly #limits: DecoderLimits;
  readonly #table: DynamicTable;
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    this.#table = new DynamicTable(limits.tableSize);
  }

  /** @throws CompressionError: the connection cannot go on */
  decode(buffer: Buffer, start: number, end: number): Block {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    const block: Block = { fields: [], size: 0, tooLarge: false };
    this.#sizeUpdates();
    while (this.#at < end) {
      const field = this.#next(buffer[this.#at]!);
      block.size += field.size;
      if (block.size > this.#limits.listSize || block.fields.length === this.#limits.fields) block.tooLarge = true;
      else block.fields.push(field);
    }
    return block;
  }

  /** RFC 7541 §4.2: "This dynamic table size update MUST occur at the beginning of the first header block following the change"; two at most say where the size went in between. */
  #sizeUpdates(): void {
    for (let count = 0; this.#at < this.#end && (this.#buffer[this.#at]! & 0xe0) === 0x20; count += 1) {
      const size = this.#integer(0x1f);
      // RFC 7541 §6.3: "The new maximum size MUST be lower than or equal to the limit determined by the protocol using HPACK."
      if (size > this.#limits.tableSize || count === 2) throw new CompressionError('a table size update is too large or one too many');
      this.#table.resize(size);
    }
  }

  #next(first: number): Field {
    // RFC 7541 §6.1: 1 and the index.
    if ((first & 0x80) !== 0) return this.#indexed(this.#integer(0x7f));
    // RFC 7541 §6.2.1: 01 and the index of the name.
    if ((first & 0x40) !== 0) {
      const field = this.#literal(0x3f, INDEXING.ALLOWED);
      this.#table.add(field);
      return field;
    }
    // RFC 7541 §6.3: a size update, which only the beginning of a block may have.
    if ((first & 0x20) !== 0) throw new CompressionError('a table size update inside of a header block');
    // RFC 7541 §6.2.3 and §6.2.2: 0001 never to be indexed, 0000 not indexed here.
    return this.#literal(0x0f, (first & 0x10) !== 0 ? INDEXING.NEVER : INDEXING.ALLOWED);
  }

  #indexed(index: number): Field {
    const field = index <= STATIC_SIZE ? STATIC[index] : this.#table.get(index - STATIC_SIZE);
    // RFC 7541 §6.1: "The index value of 0 is not used. It MUST be treated as a decoding error"; §2.3.3 says so of indices past the tables.
    if (field === undefined) throw new CompressionError('an index outside of the tables');
    return field;
  }

  #literal(mask: number, indexing: Indexing): Field {
    const index = this.#integer(mask);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    return new Field(name, this.#string(), indexing);
  }

  /** RFC 7541 §5.1, bounded: "implementations MUST set a limit on the integers they accept". */
  #integer(mask: number): number {
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (shift > 21) throw new CompressionError('an integer is too large');
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new CompressionError('a header block ends inside of a field');
    const byte = this.#buffer[this.#at]!;
    this.#at += 1;
    return byte;
  }

  #string(): string {
    const coded = this.#at < this.#end && (this.#buffer[this.#at]! & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const start = this.#at;
    if (length > this.#end - start) throw new CompressionError('a string is longer than its header block');
    this.#at = start + length;
    return coded ? decodeHuffman(this.#buffer, start, this.#at) : this.#buffer.toString('latin1', start, this.#at);
  }
}
