import { createHash } from 'node:crypto';
import { canonicalJson } from '@sallyport/shared/mesh';

/** What the first entry of a chain has as the hash of the one before it. */
export const GENESIS = '0'.repeat(64);

interface Link {
  readonly seq: bigint | null;
  readonly previousHash: string | null;
  readonly hash: string | null;
}

/** Where a chain is read from, and how an entry is hashed. */
interface ChainSource<R extends Link> {
  readonly after: (seq: bigint, take: number) => Promise<R[]>;
  readonly at: (seq: bigint) => Promise<R | null>;
  readonly hashOf: (row: R) => string;
}

/** Verifies a hash chain and remembers how far it got. */
export class HashChain<R extends Link> {
  readonly #source: ChainSource<R>;
  #seq = 0n;
  #hash = GENESIS;
  #broken = false;

  constructor(source: ChainSource<R>) {
    this.#source = source;
  }

  /** Checks every entry since the last call. A chain that was found broken stays broken. */
  async verify(): Promise<'intact' | 'broken'> {
    while (!this.#broken) {
      const rows = await this.#source.after(this.#seq, 500);
      for (const row of rows) this.#check(row);
      if (rows.length < 500) break;
    }
    if (!this.#broken) await this.#checkHead();
    return this.#broken ? 'broken' : 'intact';
  }

  #check(row: R): void {
    if (row.seq !== this.#seq + 1n || row.previousHash !== this.#hash || row.hash !== this.#source.hashOf(row)) this.#broken = true;
    this.#seq = row.seq ?? this.#seq;
    this.#hash = row.hash ?? '';
  }

  /** A truncated log still chains; the head that we saw must still be there. */
  async #checkHead(): Promise<void> {
    if (this.#seq === 0n) return;
    const head = await this.#source.at(this.#seq);
    if (head?.hash !== this.#hash) this.#broken = true;
  }
}

/** The hash of a row with its place and the hash before it, whatever the order of its fields. */
export function hashOfRow({ hash: _hash, seq, ...row }: { readonly hash?: unknown; readonly seq: bigint | null }): string {
  return createHash('sha256').update(canonicalJson(JSON.parse(JSON.stringify({ ...row, seq: String(seq) })))).digest('hex');
}

/** Several chains as one: broken when one of them is. */
export function allOf(...chains: readonly Pick<HashChain<Link>, 'verify'>[]): { verify(): Promise<'intact' | 'broken'> } {
  return { verify: async () => ((await Promise.all(chains.map((chain) => chain.verify()))).includes('broken') ? 'broken' : 'intact') };
}
