import { CLASS, CR, LF, SP, TARGET, TOKEN } from '../bytes.ts';
import { lineEnds } from './fields.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

/** A start line's parts, or why there is none. `next` is where the line after it starts; negative: see SCAN. */
export interface StartLine {
  next: number;
  refusal: Refusal | null;
  minor: 0 | 1;
  method: string;
  targetStart: number;
  targetEnd: number;
  status: number;
  /** Responses: where the reason phrase starts, up to the line's end. */
  reasonStart: number;
  reasonEnd: number;
}

export function emptyStartLine(): StartLine {
  return { next: 0, refusal: null, minor: 1, method: '', targetStart: 0, targetEnd: 0, status: 0, reasonStart: 0, reasonEnd: 0 };
}

const VERSION_LENGTH = 8;
const MAX_METHOD = 64;

/** RFC 9112 §3: `request-line = method SP request-target SP HTTP-version`, one space each, and CRLF. */
export function readRequestLine(buffer: Buffer, start: number, stop: number, line: StartLine): void {
  let at = start;
  while (at < stop && (CLASS[buffer[at]!]! & TOKEN) !== 0) at += 1;
  if (at >= stop) return more(line);
  const methodEnd = at;
  if (buffer[at] !== SP || at === start) return refuse(buffer, at, stop, line, REFUSALS.method);
  if (at - start > MAX_METHOD) return refuse(buffer, at, stop, line, REFUSALS.methodTooLong);
  line.targetStart = at + 1;
  at = line.targetStart;
  while (at < stop && (CLASS[buffer[at]!]! & TARGET) !== 0) at += 1;
  if (at >= stop) return more(line);
  if (buffer[at] !== SP || at === line.targetStart) return refuse(buffer, at, stop, line, REFUSALS.target);
  line.targetEnd = at;
  at += 1;
  if (stop - at < VERSION_LENGTH + 2) return refuse(buffer, at, stop, line, REFUSALS.startLine);
  const problem = versionProblem(buffer, at, line);
  if (problem) return refuse(buffer, at, stop, line, problem);
  line.method = methodAt(buffer, start, methodEnd);
  line.next = at + VERSION_LENGTH + 2;
}

/** RFC 9112 §4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`. The space before no reason is often left out. */
export function readStatusLine(buffer: Buffer, start: number, stop: number, line: StartLine): void {
  const lf = buffer.indexOf(LF, start);
  if (lf === -1 || lf >= stop) return more(line);
  const end = lf - 1;
  if (end - start < VERSION_LENGTH + 4 || buffer[end] !== CR) return refuse(buffer, start, stop, line, REFUSALS.startLine);
  const problem = versionOf(buffer, start, line) ?? statusProblem(buffer, start + VERSION_LENGTH, end, line);
  if (problem) return refuse(buffer, start, stop, line, problem);
  line.next = lf + 1;
}

function statusProblem(buffer: Buffer, at: number, end: number, line: StartLine): Refusal | null {
  if (buffer[at] !== SP) return REFUSALS.startLine;
  const status = digit(buffer, at + 1) * 100 + digit(buffer, at + 2) * 10 + digit(buffer, at + 3);
  // RFC 9110 §15: "All valid status codes are within the range of 100 to 599, inclusive."
  if (!(status >= 100 && status <= 599)) return REFUSALS.status;
  line.status = status;
  const after = at + 4;
  if (after < end && buffer[after] !== SP) return REFUSALS.startLine;
  line.reasonStart = Math.min(after + 1, end);
  line.reasonEnd = end;
  for (let i = line.reasonStart; i < end; i += 1) if (buffer[i]! < SP && buffer[i] !== 0x09) return REFUSALS.startLine;
  return null;
}

function digit(buffer: Buffer, at: number): number {
  const value = buffer[at]! - 0x30;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

function versionProblem(buffer: Buffer, at: number, line: StartLine): Refusal | null {
  const end = at + VERSION_LENGTH;
  const ends = buffer[end] === CR && buffer[end + 1] === LF;
  return versionOf(buffer, at, line) ?? (ends ? null : REFUSALS.startLine);
}

/** RFC 9112 §2.3: `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`, case-sensitive. */
function versionOf(buffer: Buffer, at: number, line: StartLine): Refusal | null {
  const minor = buffer[at + 7]! - 0x30;
  const first = buffer[at] === 0x48 && buffer[at + 1] === 0x54 && buffer[at + 2] === 0x54 && buffer[at + 3] === 0x50;
  if (!first) return REFUSALS.startLine;
  if (buffer[at + 5] === 0x31 && buffer[at + 6] === 0x2e && buffer[at + 4] === 0x2f && (minor === 0 || minor === 1)) {
    line.minor = minor;
    return null;
  }
  const shaped = buffer[at + 4] === 0x2f && digit(buffer, at + 5) >= 0 && buffer[at + 6] === 0x2e && minor >= 0 && minor <= 9;
  return shaped ? REFUSALS.version : REFUSALS.startLine;
}

function more(line: StartLine): void {
  line.next = -1;
}

/** Judged when the line has ended, as field lines are. */
function refuse(buffer: Buffer, at: number, stop: number, line: StartLine, refusal: Refusal): void {
  line.next = lineEnds(buffer, at, stop) ? -2 : -1;
  line.refusal = refusal;
}

/** Common methods, so that no text is made of them. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE', 'PRI'];
const BY_LENGTH: (readonly string[] | undefined)[] = [];
for (const method of METHODS) BY_LENGTH[method.length] = [...(BY_LENGTH[method.length] ?? []), method];

function methodAt(buffer: Buffer, start: number, end: number): string {
  // RFC 9110 §9.1: "The method token is case-sensitive".
  for (const method of BY_LENGTH[end - start] ?? []) if (equals(buffer, start, method)) return method;
  return buffer.toString('latin1', start, end);
}

function equals(buffer: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (buffer[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
