/** Bytes and their classes, shared by both versions of HTTP. */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COMMA = 0x2c;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const COLON = 0x3a;

/** RFC 9110 §5.6.2: `tchar`, what methods and field names are made of. */
export const TOKEN = 1;
/** RFC 9110 §5.5: field values are made of HTAB, SP, VCHAR and obs-text. */
export const VALUE = 2;
/** What a request target may hold: no space, no control character. What it means is for the policy's normal form to say. */
export const TARGET = 4;
/** RFC 3986 §3.2.2: `reg-name`, which an IPv4 address is too. */
export const REG_NAME = 8;
/** `tchar` without upper case: RFC 9113 §8.2.1, "field names MUST be converted to lowercase". */
export const LOWER_TOKEN = 16;

/** The classes of each byte. */
export const CLASS = new Uint8Array(256);
/** Each byte with A-Z turned to a-z. */
const LOWER = new Uint8Array(256);
/** The value of a hexadecimal digit, or -1. */
export const HEX = new Int8Array(256).fill(-1);

for (let byte = 0; byte < 256; byte += 1) {
  const character = String.fromCharCode(byte);
  const control = byte < SP || byte === 0x7f;
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) CLASS[byte]! |= TOKEN;
  if (/[!#$%&'*+\-.^_`|~0-9a-z]/.test(character)) CLASS[byte]! |= LOWER_TOKEN;
  if (!control || byte === HTAB) CLASS[byte]! |= VALUE;
  if (!control && byte !== SP) CLASS[byte]! |= TARGET;
  if (/[A-Za-z0-9\-._~%!$&'()*+;=]/.test(character)) CLASS[byte]! |= REG_NAME;
  LOWER[byte] = character >= 'A' && character <= 'Z' ? byte + 0x20 : byte;
  if (/[0-9A-Fa-f]/.test(character)) HEX[byte] = Number.parseInt(character, 16);
}

/** True when the bytes are `lower` (which is in lower case), whatever their own case. */
export function equalsIgnoreCase(buffer: Buffer, start: number, end: number, lower: string): boolean {
  return end - start === lower.length && startsIgnoreCase(buffer, start, end, lower);
}

/** True when the bytes begin with `lower` (which is in lower case), whatever their own case. */
export function startsIgnoreCase(buffer: Buffer, start: number, end: number, lower: string): boolean {
  if (end - start < lower.length) return false;
  for (let i = 0; i < lower.length; i += 1) if (LOWER[buffer[start + i]!] !== lower.charCodeAt(i)) return false;
  return true;
}

/** True when every character is of the class; also for an empty text. */
export function textOf(text: string, wanted: number): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0xff || (CLASS[code]! & wanted) === 0) return false;
  }
  return true;
}

/** Longer texts are written by one native call, shorter ones faster without. */
const SHORT = 24;

/** Writes a text of one byte per character and returns where it ends. The caller made sure of room. */
export function writeLatin1(buffer: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > SHORT) return at + buffer.write(text, at, length, 'latin1');
  for (let i = 0; i < length; i += 1) buffer[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Copies bytes and returns where they end. The caller made sure of room. */
export function copyBytes(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  const length = end - start;
  if (length > SHORT) from.copy(to, at, start, end);
  else for (let i = 0; i < length; i += 1) to[at + i] = from[start + i]!;
  return at + length;
}

/** The value of `1*DIGIT`, or -1 for anything else and for numbers that are not exact in JavaScript. */
export function decimal(buffer: Buffer, start: number, end: number): number {
  // 16 digits can pass 2^53.
  if (end === start || end - start > 15) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = buffer[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The same for a text. */
export function decimalText(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}
