import type { CallTrace } from './trace.ts';

/** The span that a connection will have when it ends. */
export interface ConnectionTrace {
  readonly trace: CallTrace;
  /** When it came, by `performance.now()`. */
  readonly startedAt: number;
  /** Address that it went to, on the calling side; null on the other. */
  readonly peer: string | null;
}

/** The one span of a connection of TCP: told when it is turned away, or when it has ended. Parts of records, empty without spans. */
export class ConnectionSpan {
  readonly #trace: CallTrace | null;
  readonly #startedAt = performance.now();

  /** @param trace null when nobody gets spans */
  constructor(trace: CallTrace | null) {
    this.#trace = trace;
  }

  /** For a connection that goes no further. */
  get whole(): { readonly trace?: CallTrace } {
    return this.#trace === null ? {} : { trace: this.#trace };
  }

  /** For one that lives on, and has its span later. */
  get begun(): { readonly trace?: CallTrace } {
    return this.#trace === null ? {} : { trace: { ...this.#trace, spanId: null } };
  }

  endsAt(peer: string | null): { readonly trace?: ConnectionTrace } {
    return this.#trace === null ? {} : { trace: { trace: this.#trace, startedAt: this.#startedAt, peer } };
  }
}
