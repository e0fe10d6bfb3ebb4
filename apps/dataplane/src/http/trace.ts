import { randomFillSync } from 'node:crypto';
import { OwnField } from './own-field.ts';

/** W3C Trace Context. */
export interface Trace {
  readonly field: OwnField;
  readonly traceId: string;
}

const GIVEN = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Bytes of a trace's and a span's id. */
const ID_BYTES = 24;
/** Randomness is drawn for many calls at once: asking for it costs more than making it. */
const drawn = Buffer.alloc(ID_BYTES * 256);
let at = drawn.length;

/** The caller's `traceparent` if it is well-formed, else a new, unsampled one. */
export function traceOf(given: string | null): Trace {
  const match = given === null ? null : GIVEN.exec(given);
  if (match?.[1] !== undefined && given !== null) return { field: new OwnField('traceparent', given), traceId: match[1] };
  if (at === drawn.length) {
    randomFillSync(drawn);
    at = 0;
  }
  const ids = drawn.toString('hex', at, at + ID_BYTES);
  at += ID_BYTES;
  const traceId = ids.slice(0, 32);
  return { field: new OwnField('traceparent', `00-${traceId}-${ids.slice(32)}-00`), traceId };
}
