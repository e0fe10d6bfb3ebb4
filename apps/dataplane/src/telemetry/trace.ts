import { randomFillSync } from 'node:crypto';

/** What is known about the trace that a call belongs to. */
export interface CallTrace {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** The `traceparent` of the call's next hop. */
  readonly header: string;
  /** False when the trace began here. Then a `tracestate` that came belongs to nothing and must not be passed on. */
  readonly continued: boolean;
  /** This hop's span, 16 digits, when it is to be recorded. */
  readonly spanId: string | null;
  /** The caller's span, when there was one. */
  readonly parentId: string | null;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
const SAMPLED = 0x01;
/** Level 2: "a flag that the least significant 7 bytes of the trace-id are random". Kept, and set for ours, which are. */
const RANDOM = 0x02;

/** Random bytes, fetched many at a time: one by one they cost ten times more. */
class RandomHex {
  readonly #pool = Buffer.allocUnsafe(4_096);
  #at = this.#pool.length;

  take(bytes: number): string {
    if (this.#at + bytes > this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    this.#at += bytes;
    return this.#pool.toString('hex', this.#at - bytes, this.#at);
  }
}

/**
 * W3C Trace Context: continues the caller's trace or begins one. Whether a trace is recorded is decided once, by who begins it;
 * what nobody began before us is recorded with the configured probability.
 */
export class Tracer {
  readonly #random = new RandomHex();
  readonly #recording: boolean;
  /** A trace is sampled when the number in its last 7 bytes is below this. */
  readonly #threshold: number;

  /** @param sample share of the traces that begin here, 0 to 1; null when spans are exported to nobody, and none is made */
  constructor(sample: number | null) {
    this.#recording = sample !== null;
    this.#threshold = (sample ?? 0) * 2 ** 56;
  }

  /** @param traceparent as it came, or null */
  begin(traceparent: string | null): CallTrace {
    return (traceparent === null ? null : this.#continue(traceparent)) ?? this.#start();
  }

  /** @returns null for a header that is to be treated as if there were none (§3.2.2.3: version ff, zeros, upper case) */
  #continue(header: string): CallTrace | null {
    const [, version, traceId, parentId, flags, rest] = TRACEPARENT.exec(header) ?? [];
    if (traceId === undefined || parentId === undefined || flags === undefined) return null;
    if (traceId === NO_TRACE || parentId === NO_SPAN || version === 'ff') return null;
    // Version 00 ends here; what later ones append is not ours to understand.
    if (version === '00' && rest !== undefined) return null;
    const bits = Number.parseInt(flags, 16);
    // "Pass the traceparent on as it is" when this hop takes no part in the trace.
    if (!this.#recording || (bits & SAMPLED) === 0) return { traceId, header, continued: true, spanId: null, parentId };
    const spanId = this.#random.take(8);
    return { traceId, header: `00-${traceId}-${spanId}-${hexFlags(bits & (SAMPLED | RANDOM))}`, continued: true, spanId, parentId };
  }

  #start(): CallTrace {
    const ids = this.#random.take(24);
    const traceId = ids.slice(0, 32);
    const spanId = ids.slice(32);
    const sampled = this.#threshold > 0 && Number.parseInt(traceId.slice(18), 16) < this.#threshold;
    return { traceId, header: `00-${traceId}-${spanId}-${hexFlags(sampled ? SAMPLED | RANDOM : RANDOM)}`, continued: false, spanId: sampled ? spanId : null, parentId: null };
  }
}

function hexFlags(bits: number): string {
  return `0${bits}`;
}
