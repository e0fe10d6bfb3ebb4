import { type ParentCa, type ParentCertificate, ParentError } from './parent.ts';

const FIRST_WAIT_MS = 5_000;
/** Files cost nothing to look at; others may be rate-limited or billed. */
const LONGEST_WAIT_MS = { file: 30_000, vault: 10 * 60_000, certManager: 10 * 60_000 } as const;

/**
 * A parent that is not asked every second after it gave nothing usable: after 5 s, then twice as long each time, unless
 * the answer is only on its way. Until then it gives the same answer, so that whoever asks can go on with everything else.
 */
export class PatientParent implements ParentCa {
  readonly kind: ParentCa['kind'];
  readonly #inner: ParentCa;
  #failure: { readonly message: string; readonly offered: string | null; readonly waitMs: number; readonly until: number } | null = null;

  constructor(inner: ParentCa) {
    this.kind = inner.kind;
    this.#inner = inner;
  }

  offered(): string | null {
    return this.#inner.offered();
  }

  async obtain(now: number, lifetimeMs: number): Promise<ParentCertificate> {
    const before = this.#failure;
    const offered = this.offered();
    if (before && now < before.until && offered === before.offered) throw new ParentError(before.message);
    try {
      const given = await this.#inner.obtain(now, lifetimeMs);
      this.#failure = null;
      return given;
    } catch (error) {
      if (!(error instanceof ParentError)) throw error;
      const waitMs = error.soon ? FIRST_WAIT_MS : Math.min(LONGEST_WAIT_MS[this.kind], before ? before.waitMs * 2 : FIRST_WAIT_MS);
      this.#failure = { message: error.message, offered, waitMs, until: now + waitMs };
      throw error;
    }
  }

  /** Something changed: it is asked again at once. */
  again(): void {
    if (this.#failure) this.#failure = { ...this.#failure, until: 0 };
  }

  close(): void {
    this.#inner.close();
  }
}
