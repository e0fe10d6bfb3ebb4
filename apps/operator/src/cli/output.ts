import { styleText } from 'node:util';
import { stringify } from 'yaml';

export type Format = 'table' | 'json' | 'yaml';
export const FORMATS: readonly Format[] = ['table', 'json', 'yaml'];

type Tone = 'good' | 'warn' | 'bad' | 'quiet';
export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}
export type Row = readonly (string | number | null | Cell)[];

const COLORS = { good: 'green', warn: 'yellow', bad: 'red', quiet: 'gray' } as const;

/** Prints a value as JSON or YAML, or its rows as a table in the manner of kubectl. */
export function show(format: Format, value: unknown, header: readonly string[], rows: readonly Row[]): void {
  if (format === 'json') process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === 'yaml') process.stdout.write(stringify(value, { aliasDuplicateObjects: false }));
  else printTable(header, rows);
}

function printTable(header: readonly string[], rows: readonly Row[]): void {
  if (rows.length === 0) {
    note('Nothing found.');
    return;
  }
  const cells = [header.map((text) => plain(text)), ...rows.map((row) => row.map((value) => toCell(value)))];
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.text.length ?? 0)));
  for (const row of cells) {
    const padded = row.map((cell, column) => paint(cell, column === row.length - 1 ? cell.text : cell.text.padEnd(widths[column] ?? 0)));
    process.stdout.write(`${padded.join('   ')}\n`);
  }
}

interface PlainCell {
  readonly text: string;
  readonly tone: Tone | null;
}

function toCell(value: Row[number]): PlainCell {
  if (value === null || value === '') return plain('-');
  return typeof value === 'object' ? { text: printable(value.text), tone: value.tone } : plain(String(value));
}

function plain(text: string): PlainCell {
  return { text: printable(text), tone: null };
}

/** What peers sent (a path, a method) reaches this table: no control character of theirs may reach the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

// styleText leaves colours out by itself when the output is no terminal or NO_COLOR is set.
function paint(cell: PlainCell, text: string): string {
  return cell.tone === null ? text : styleText(COLORS[cell.tone], text, { stream: process.stdout });
}

/** A remark for people, apart from the output proper. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function tone(text: string, tone: Tone): Cell {
  return { text, tone };
}

/** How long ago, as kubectl writes it: 42s, 5m, 3h, 2d. `-` for never. */
export function age(instant: string | null | undefined, now: number): string {
  if (instant === null || instant === undefined) return '-';
  const seconds = Math.max(0, Math.round((now - Date.parse(instant)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 120 * 60) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** How long until, in the same form; `past` when it is over. */
export function until(instant: string, now: number): string {
  return Date.parse(instant) <= now ? 'past' : age(new Date(now).toISOString(), Date.parse(instant));
}

/** Shares of calls by protection. Nothing seen is `no calls`, never 100 %. Rounded so that less than all never reads as all. */
export function protection(mtls: { mutual: number; plaintext: number; unknown: number }): Cell {
  const total = mtls.mutual + mtls.plaintext + mtls.unknown;
  if (total === 0) return tone('no calls', 'quiet');
  if (mtls.mutual === total) return tone('100%', 'good');
  const floor = (count: number) => `${Math.floor((count / total) * 1000) / 10}%`;
  const parts = [floor(mtls.mutual), ...(mtls.plaintext > 0 ? [`${mtls.plaintext} plaintext`] : []), ...(mtls.unknown > 0 ? [`${mtls.unknown} unknown`] : [])];
  return tone(parts.join(', '), mtls.plaintext > 0 ? 'bad' : 'warn');
}

/** One line about what the figures rest on; silent proxies are named. A proxy owes telemetry from its enrolment on, so the line says since when. */
export function coverageNote(coverage: { proxiesExpected: number; proxiesReporting: number; share: number | null; since: string | null; proxies: readonly { name: string; live: boolean; lastReport: string | null }[] }): string {
  const share = coverage.share === null ? 'no proxy is expected' : `telemetry ${Math.floor(coverage.share * 1000) / 10}% complete${coverage.since === null ? '' : ` since ${coverage.since}`}`;
  const silent = coverage.proxies.filter((proxy) => !proxy.live).map((proxy) => `no data from ${proxy.name} since ${proxy.lastReport ?? 'ever'}`);
  return [`${coverage.proxiesReporting} of ${coverage.proxiesExpected} proxies reporting, ${share}`, ...silent].join('; ');
}
