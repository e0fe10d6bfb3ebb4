import { type HeaderPair, isConnectionHeader, isReserved, setHeaders } from '../http/headers.ts';

/** What an external authorizer said. `unavailable` is for whoever did not answer, or not so that it could be understood. */
export type Answer =
  | { readonly kind: 'allow'; readonly changes: HeaderChanges }
  | { readonly kind: 'deny'; readonly status: number; readonly headers: readonly HeaderPair[]; readonly body: Buffer | null }
  | { readonly kind: 'unavailable'; readonly status: number; readonly why: string };

/** What an authorizer changes about the request that it allows. */
export interface HeaderChanges {
  readonly set: readonly HeaderPair[];
  readonly append: readonly HeaderPair[];
  /** Lower-case names. */
  readonly remove: readonly string[];
}

const NO_CHANGES: HeaderChanges = { set: [], append: [], remove: [] };

/** What is asked about a connection, or one request on it. */
export interface Question {
  readonly source: { readonly principal: string | null; readonly ip: string; readonly port: number };
  readonly destination: { readonly principal: string; readonly ip: string; readonly port: number };
  /** Absent for a TCP connection. */
  readonly http?: {
    readonly id: string;
    readonly method: string;
    /** Normal path with its query: what is forwarded when the answer is yes. */
    readonly target: string;
    readonly host: string;
    readonly headers: readonly HeaderPair[];
    /** Bytes of the body, -1 when they are not announced. */
    readonly size: number;
  };
}

/** Somebody outside who decides. */
export interface Authorizer {
  /** Never rejects, and settles within the provider's timeout. */
  ask(question: Question): Promise<Answer>;
  /** Ends its connections; questions in flight are answered `unavailable`. */
  close(): void;
}

/** True for a header that may go into the request or the answer. An authorizer frames no message and is nobody's identity. */
function maySet([name, value]: HeaderPair): boolean {
  const lower = name.toLowerCase();
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value) && !isReserved(lower) && !isConnectionHeader(lower);
}

/** An answer that allows, without the changes that no authorizer may make. */
export function allow({ set, append, remove }: HeaderChanges = NO_CHANGES): Answer {
  const removable = remove.map((name) => name.trim().toLowerCase()).filter((name) => name !== '' && !isReserved(name) && !isConnectionHeader(name));
  return { kind: 'allow', changes: { set: set.filter(maySet), append: append.filter(maySet), remove: removable } };
}

/** An answer that denies. A status that would look like success, or like no answer at all, becomes 403. */
export function deny(status: number, headers: readonly HeaderPair[], body: Buffer | null): Answer {
  const usable = Number.isInteger(status) && status >= 300 && status <= 599 && status !== 304 ? status : 403;
  return { kind: 'deny', status: usable, headers: headers.filter(maySet), body };
}

/** The request's headers after an authorizer's changes. */
export function changed(headers: readonly HeaderPair[], { set, append, remove }: HeaderChanges): HeaderPair[] {
  const kept = remove.length === 0 ? headers : headers.filter(([name]) => !remove.includes(name.toLowerCase()));
  return [...setHeaders(kept, set), ...append];
}
