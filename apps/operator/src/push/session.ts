import { createHash, randomUUID } from 'node:crypto';
import { ackRequest, type ConfigDelta, setHashInput } from '@sallyport/shared/push';
import type { z } from 'zod';
import type { NamedEntry } from './snapshot.ts';

export type Ack = z.infer<typeof ackRequest>;
type Hashes = ReadonlyMap<string, string>;

/** What a proxy said to the last delta that it did not take. */
export interface Nack {
  readonly version: string;
  readonly errors: readonly { readonly name: string; readonly message: string }[];
}

/**
 * One proxy's stream: at most one delta in flight, everything that changes meanwhile goes into the next one
 * (istio#28261: pushing ahead of ACKs floods slow proxies).
 */
export class PushSession {
  readonly proxy: string;
  readonly #send: (delta: ConfigDelta) => void;
  #acked: Map<string, string>;
  #flight: { nonce: string; version: string; hashes: Map<string, string> } | null = null;
  #refused: string | null = null;
  #first = true;
  nack: Nack | null = null;
  lastAck: number | null = null;
  ackedVersion: string | null = null;

  constructor(proxy: string, have: Readonly<Record<string, string>>, send: (delta: ConfigDelta) => void) {
    this.proxy = proxy;
    this.#send = send;
    this.#acked = new Map(Object.entries(have));
  }

  /** Hash of each entry that the proxy confirmed. */
  get acked(): Hashes {
    return this.#acked;
  }

  /** Sends what differs from the confirmed set, unless a delta is in flight or just this set was refused. */
  offer(snapshot: ReadonlyMap<string, NamedEntry>, version: string): void {
    if (this.#flight) return;
    const hashes = new Map([...snapshot.values()].map(({ name, hash }) => [name, hash]));
    const setHash = hashOfSet(hashes);
    if (setHash === this.#refused) return;
    const upserts = [...snapshot.values()].filter(({ name, hash }) => this.#acked.get(name) !== hash);
    const removed = [...this.#acked.keys()].filter((name) => !hashes.has(name));
    // The first delta goes out even when empty: its ACK tells that the proxy really runs what it says it has.
    if (!this.#first && upserts.length === 0 && removed.length === 0) return;
    this.#first = false;
    const nonce = randomUUID();
    this.#flight = { nonce, version, hashes };
    this.#send({ nonce, version, upserts, removed, setHash });
  }

  /** Takes an ACK or NACK. @returns false for one that answers nothing in flight */
  settle(ack: Ack, now: number): boolean {
    if (this.#flight?.nonce !== ack.nonce) return false;
    const { hashes, version } = this.#flight;
    this.#flight = null;
    if (ack.errors.length > 0 || ack.resync) {
      this.nack = { version, errors: ack.errors };
      this.#refused = ack.resync ? null : hashOfSet(hashes);
      return true;
    }
    this.#acked = hashes;
    this.#refused = null;
    this.nack = null;
    this.lastAck = now;
    this.ackedVersion = version;
    return true;
  }
}

function hashOfSet(hashes: Hashes): string {
  return createHash('sha256').update(setHashInput(Object.fromEntries(hashes))).digest('hex');
}
