/** What peers may use of us. Nobody gets all of it: who is refused must not depend on who else is there. */
export interface Limits {
  /** Connections of one listener. */
  readonly connections: number;
  /** Those of one address there, and at an HBONE port those of one identity as well. */
  readonly connectionsOfPeer: number;
  /** Streams of an HBONE port, as its ports limit connections, and those of one identity. */
  readonly streams: number;
  readonly streamsOfPeer: number;
  /** In ms: how long a TLS handshake may take, and the first bytes of a connection. */
  readonly handshake: number;
  readonly firstBytes: number;
}

export const LIMITS: Limits = { connections: 4_096, connectionsOfPeer: 2_048, streams: 8_192, streamsOfPeer: 4_096, handshake: 10_000, firstBytes: 10_000 };

/** Which limit refused a connection or a stream. */
export type LimitName = 'listener' | 'address' | 'identity' | 'streams' | 'streams-of-identity';

/** Counts what each peer holds of something that all of them share. */
export class Shares {
  readonly #held = new Map<string, number>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when the peer holds its share already. */
  take(peer: string): boolean {
    const held = this.#held.get(peer) ?? 0;
    if (held >= this.#limit) return false;
    this.#held.set(peer, held + 1);
    return true;
  }

  give(peer: string): void {
    const held = this.#held.get(peer) ?? 0;
    if (held > 1) this.#held.set(peer, held - 1);
    else this.#held.delete(peer);
  }
}
