import { createHash } from 'node:crypto';

/**
 * Canonical JSON after RFC 8785: keys in order of UTF-16 code units, no white space, numbers as ECMAScript writes them.
 * Kept apart from the push protocol's, because bundles must stay the same when that changes.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

export type Cell = string | number | boolean | null;

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8').decode(bytes);
export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
export const jsonFile = (value: unknown): Uint8Array => encode(`${canonicalJson(value)}\n`);
export const lines = (items: readonly string[]): Uint8Array => encode(items.map((item) => `${item}\n`).join(''));
export const iso = (at: number): string => new Date(at).toISOString();

/** Order by canonical text, so that the order in which a database answered does not reach the bundle. */
export function sorted<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: canonicalJson(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ item }) => item);
}

/**
 * CSV by RFC 4180 but for line ends, which are LF so that `sha256sum` and `diff` read the same lines everywhere.
 * Text that a spreadsheet would take for a formula gets a leading apostrophe (OWASP, "CSV Injection").
 */
export function csv(columns: readonly string[], rows: readonly (readonly Cell[])[]): Uint8Array {
  return lines([columns, ...rows].map((row) => row.map(csvField).join(',')));
}

function csvField(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
