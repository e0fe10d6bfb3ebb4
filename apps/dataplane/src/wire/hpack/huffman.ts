import { CompressionError } from './errors.ts';

/** RFC 7541 Appendix B: the bits of each symbol's code, EOS last. The code is canonical, so lengths say all. */
const LENGTHS = Uint8Array.of(
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
);
const EOS = 256;

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(EOS + 1);
  let code = 0;
  let length = 0;
  const symbols = Array.from({ length: EOS + 1 }, (_, symbol) => symbol).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b);
  for (const symbol of symbols) {
    code <<= LENGTHS[symbol]! - length;
    length = LENGTHS[symbol]!;
    codes[symbol] = code;
    code += 1;
  }
  return codes;
}

const CODES = canonicalCodes();

// The decoder is a machine whose states are the inner nodes of the code's tree; it takes four bits a step, in which at most
// one symbol ends, since the shortest code has five. An entry holds the next state, the symbol, and these bits:
const EMITS = 1 << 16;
const FAILS = 1 << 17;
const SYMBOL_SHIFT = 8;
const STATES = 256;

interface Machine {
  readonly steps: Uint32Array;
  /** States in which a text may end. */
  readonly accepting: Uint8Array;
}

/** Two children for each inner node: another node, or the complement of a symbol. */
function buildTree(): Int16Array {
  const children = new Int16Array(STATES * 2);
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol += 1) {
    let node = 0;
    for (let bit = LENGTHS[symbol]! - 1; bit > 0; bit -= 1) {
      const slot = node * 2 + ((CODES[symbol]! >>> bit) & 1);
      if (children[slot] === 0) {
        children[slot] = nodes;
        nodes += 1;
      }
      node = children[slot]!;
    }
    children[node * 2 + (CODES[symbol]! & 1)] = ~symbol;
  }
  return children;
}

function step(children: Int16Array, from: number, nibble: number): number {
  let state = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const child = children[state * 2 + ((nibble >>> bit) & 1)]!;
    // RFC 7541 §5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error."
    if (~child === EOS) return FAILS;
    if (child < 0) emitted = EMITS | (~child << SYMBOL_SHIFT);
    state = Math.max(0, child);
  }
  return state | emitted;
}

function buildMachine(): Machine {
  const children = buildTree();
  const steps = new Uint32Array(STATES * 16);
  for (let state = 0; state < STATES; state += 1) for (let nibble = 0; nibble < 16; nibble += 1) steps[state * 16 + nibble] = step(children, state, nibble);
  // RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error. A padding not corresponding to
  // the most significant bits of the code for the EOS symbol MUST be treated as a decoding error." Those bits are ones.
  const accepting = new Uint8Array(STATES);
  let state = 0;
  for (let bits = 0; bits <= 7; bits += 1) {
    accepting[state] = 1;
    state = children[state * 2 + 1]!;
  }
  return { steps, accepting };
}

const { steps: STEPS, accepting: ACCEPTING } = buildMachine();

/** The decoded text of one string. It grows to the longest that was seen: 8/5 of a header block at most. */
let scratch = Buffer.allocUnsafe(4096);

/** @throws CompressionError */
export function decodeHuffman(buffer: Buffer, start: number, end: number): string {
  // Every symbol takes five bits at least.
  const most = Math.floor(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafe(most);
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at += 1) {
    const byte = buffer[at]!;
    const high = STEPS[(state << 4) | (byte >>> 4)]!;
    if ((high & EMITS) !== 0) out[length++] = high >>> SYMBOL_SHIFT;
    const low = STEPS[((high & 0xff) << 4) | (byte & 15)]!;
    if ((low & EMITS) !== 0) out[length++] = low >>> SYMBOL_SHIFT;
    if (((high | low) & FAILS) !== 0) throw new CompressionError('the Huffman code has an end of string inside');
    state = low & 0xff;
  }
  if (ACCEPTING[state] === 0) throw new CompressionError('the Huffman code has a wrong padding');
  return out.toString('latin1', 0, length);
}

/** How many bytes the text has when encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += LENGTHS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Writes the encoded text and returns where it ends. The caller made sure of room. */
export function encodeHuffman(text: string, out: Buffer, from: number): number {
  let at = from;
  let bits = 0;
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = text.charCodeAt(i) & 0xff;
    let left = LENGTHS[symbol]!;
    // In halves, so that what waits (up to 7 bits) and what comes fit into 32 bits.
    while (left > 0) {
      const take = Math.min(left, 16);
      left -= take;
      bits = (bits << take) | ((CODES[symbol]! >>> left) & ((1 << take) - 1));
      count += take;
      while (count >= 8) {
        count -= 8;
        out[at++] = bits >>> count;
      }
      bits &= (1 << count) - 1;
    }
  }
  if (count > 0) out[at++] = (bits << (8 - count)) | (0xff >>> count);
  return at;
}
