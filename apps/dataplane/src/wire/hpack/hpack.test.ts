import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SERIES } from './appendix-c.fixture.ts';
import { Decoder } from './decoder.ts';
import { DynamicTable } from './dynamic-table.ts';
import { Encoder } from './encoder.ts';
import { CompressionError } from './errors.ts';
import { Field, field, INDEXING, KIND } from './field.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from './huffman.ts';
import { STATIC } from './static-table.ts';

const LIMITS = { tableSize: 4096, listSize: 65_536, fields: 100 };
const pairs = (fields: readonly Field[]) => fields.map(({ name, value }) => [name, value]);
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(text: string, decoder = new Decoder(LIMITS)) {
  const bytes = hex(text);
  return decoder.decode(bytes, 0, bytes.length);
}

function encode(encoder: Encoder, fields: readonly Field[]): string {
  const length = encoder.encode(fields);
  return encoder.buffer.toString('hex', 0, length);
}

describe('RFC 7541 Appendix C', () => {
  // C.1: integers, through indices and string lengths that need them.
  it.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header'], INDEXING.ALLOWED],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], INDEXING.ALLOWED],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], INDEXING.NEVER],
    ['C.2.4', '82', [':method', 'GET'], INDEXING.ALLOWED],
  ])('%s', (_, block, pair, indexing) => {
    const { fields } = decode(block);
    expect(pairs(fields)).toEqual([pair]);
    expect(fields[0]?.indexing).toBe(indexing);
  });

  it.each(SERIES)('$section decoded', ({ tableSize, blocks }) => {
    const decoder = new Decoder({ ...LIMITS, tableSize });
    for (const { hex: block, fields } of blocks) expect(pairs(decode(block, decoder).fields)).toEqual(fields);
  });

  it.each(SERIES)('$section encoded', ({ tableSize, huffman, blocks }) => {
    const encoder = new Encoder({ huffman, eager: true });
    encoder.setTableSize(tableSize);
    // The examples leave out the update that tells the size.
    expect(encode(encoder, [])).toBe(tableSize === 4096 ? '' : '3fe101');
    for (const { hex: block, fields } of blocks) expect(encode(encoder, fields.map(([name, value]) => new Field(name, value, INDEXING.ALLOWED)))).toBe(block);
  });

  it('keeps a never-indexed field so', () => {
    const [password] = decode('1008 7061 7373 776f 7264 0673 6563 7265 74').fields;
    expect(encode(new Encoder({ huffman: false, eager: true }), [password!])).toBe('100870617373776f726406736563726574');
    expect(encode(new Encoder({ huffman: false, eager: true }), [field('authorization', 'a')])).toBe('1f080161');
  });
});

describe('blocks that cannot be decoded', () => {
  it.each([
    ['index 0', '80'],
    ['an index past the tables', 'be'],
    ['an index far past the tables', 'ff8001'],
    ['a name index past the tables', '7f0000'],
    ['an integer of too many bytes', 'ffffffffff0f'],
    ['an integer padded with zeros', 'ff8080808000'],
    ['an integer that is cut off', 'ff'],
    ['an integer that is cut off later', 'ff80'],
    ['a string that is cut off', '40056162'],
    ['a string without length', '4001 61'],
    ['a string of 2^28 bytes', '40 7f 81 ff ff 7f 61'],
    ['a size update after a field', '82 20'],
    ['a size update past the limit', '3f e2 1f'],
    ['three size updates', '20 20 20 82'],
    ['Huffman with EOS', '00 84 ff ff ff ff 00'],
    ['Huffman with 8 bits of padding', '00 82 1f ff 00'],
    ['Huffman padded with zeros', '00 81 18 00'],
    ['Huffman padded with a wrong bit', '00 81 1e 00'],
  ])('%s', (_, block) => {
    expect(() => decode(block)).toThrow(CompressionError);
  });

  it('takes Huffman with 0 and with 7 bits of padding', () => {
    expect(pairs(decode('00 85 00 00 00 00 00 84 00 00 00 7f').fields)).toEqual([['00000000', '00000']]);
  });
});

describe('limits', () => {
  it('counts what a bomb decodes to and keeps none of it past the limit', () => {
    const decoder = new Decoder(LIMITS);
    const encoder = new Encoder({ huffman: false, eager: true });
    const large = 'x'.repeat(900);
    const block = Buffer.concat([hex(encode(encoder, [field('bomb', large)])), Buffer.alloc(60_000, 0xbe)]);
    const { fields, size, tooLarge } = decoder.decode(block, 0, block.length);
    expect([fields.length, size, tooLarge]).toEqual([70, 60_001 * (4 + 900 + 32), true]);
    expect(new Set(fields).size).toBe(1);
  });

  it('takes 100 fields and marks more', () => {
    expect(decode('82'.repeat(100)).tooLarge).toBe(false);
    expect(decode('82'.repeat(101))).toMatchObject({ tooLarge: true, size: 101 * 42 });
  });

  it('empties the table for a field that is larger than it', () => {
    const decoder = new Decoder({ ...LIMITS, tableSize: 64 });
    expect(pairs(decode('40 01 61 01 62 be', decoder).fields)).toEqual([['a', 'b'], ['a', 'b']]);
    decode(`40 01 61 40 ${'62'.repeat(64)}`, decoder);
    expect(() => decode('be', decoder)).toThrow(CompressionError);
  });

  it('tells the smallest and the last size of the table', () => {
    const encoder = new Encoder({ huffman: false, eager: true });
    const decoder = new Decoder(LIMITS);
    decode(encode(encoder, [field('a', 'b')]), decoder);
    encoder.setTableSize(0);
    encoder.setTableSize(100_000);
    const block = encode(encoder, [field('a', 'b'), field('a', 'b')]);
    expect(block).toBe('203fe11f4001610162be');
    expect(pairs(decode(block, decoder).fields)).toEqual([['a', 'b'], ['a', 'b']]);
  });

  it('indexes a value when it comes a second time', () => {
    const encoder = new Encoder({ huffman: false, eager: false });
    const blocks = [1, 2, 3].map(() => encode(encoder, [field('a', 'b')]));
    expect(blocks).toEqual(['0001610162', '4001610162', 'be']);
  });
});

describe('fields', () => {
  it.each([
    ['upper case', 'Name', 'v', KIND.INVALID],
    ['a space in the name', 'a b', 'v', KIND.INVALID],
    ['an empty name', '', 'v', KIND.INVALID],
    ['CR in the value', 'a', 'b\rc', KIND.INVALID],
    ['LF in the value', 'a', 'b\nc', KIND.INVALID],
    ['NUL in the value', 'a', '\0', KIND.INVALID],
    ['a space before the value', 'a', ' b', KIND.INVALID],
    ['a tab after the value', 'a', 'b\t', KIND.INVALID],
    ['an invalid value of a known name', 'te', 'a\n', KIND.TE | KIND.INVALID],
    ['an unknown pseudo-header', ':x', 'v', KIND.OTHER_PSEUDO],
    ['a connection header', 'transfer-encoding', 'chunked', KIND.CONNECTION],
    ['an empty value', 'a', '', 0],
  ])('%s', (_, name, value, kind) => {
    expect(new Field(name, value, INDEXING.ALLOWED).kind).toBe(kind);
  });

  it('knows its static table', () => {
    expect([STATIC[1]?.name, STATIC[61]?.name, STATIC.length]).toEqual([':authority', 'www-authenticate', 62]);
  });

  it('makes none that no field may be', () => {
    expect(() => field('a', 'b\r\nc: d')).toThrow(TypeError);
  });
});

describe('round trips', () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 80 });

  it('Huffman', () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const out = Buffer.alloc(text.length * 4 + 8);
        const end = encodeHuffman(text, out, 3);
        expect(end - 3).toBe(huffmanLength(text));
        expect(decodeHuffman(out, 3, end)).toBe(text);
      }),
    );
  });

  it('blocks of one connection, with the table resized between', () => {
    const name = fc.constantFrom('a', 'bb', 'cookie', ':path', 'content-type', 'x-long-name-of-a-header');
    const made = fc.tuple(name, fc.oneof(fc.constantFrom('', '/', '200', 'gzip, deflate', 'v'), latin1), fc.constantFrom(INDEXING.ALLOWED, INDEXING.NEVER));
    const turn = fc.tuple(fc.array(made, { maxLength: 12 }), fc.option(fc.integer({ min: 0, max: 5000 }), { nil: null, freq: 4 }));
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 12 }), fc.boolean(), fc.boolean(), (turns, huffman, eager) => {
        const encoder = new Encoder({ huffman, eager });
        const decoder = new Decoder(LIMITS);
        for (const [fields, size] of turns) {
          if (size !== null) encoder.setTableSize(size);
          const sent = fields.map(([name, value, indexing]) => new Field(name, value, indexing));
          expect(pairs(decode(encode(encoder, sent), decoder).fields)).toEqual(pairs(sent));
        }
      }),
    );
  });

  it('the table holds what a list with the same rules holds', () => {
    const step = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }).map((size) => ({ size, max: null })) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }).map((max) => ({ size: 0, max })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const table = new DynamicTable(256);
        let limit = 256;
        const model: Field[] = [];
        for (const { size, max } of steps) {
          if (max === null) {
            const added = new Field('n', 'x'.repeat(size), INDEXING.ALLOWED);
            table.add(added);
            model.unshift(added);
          } else {
            limit = max;
            table.resize(max);
          }
          while (model.reduce((sum, each) => sum + each.name.length + each.value.length + 32, 0) > limit) model.pop();
          expect(Array.from({ length: table.count }, (_, i) => table.get(i + 1))).toEqual(model);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('random bytes decode or are refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
        const decoder = new Decoder(LIMITS);
        const outcome = (block: Uint8Array): unknown => {
          try {
            return decoder.decode(Buffer.from(block), 0, block.length).tooLarge;
          } catch (error) {
            return error instanceof CompressionError ? false : error;
          }
        };
        expect(blocks.map(outcome)).toEqual(blocks.map(() => false));
      }),
      { numRuns: 3000 },
    );
  });
});
