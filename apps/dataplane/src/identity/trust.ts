import type { Socket } from 'node:net';
import type { SpiffeId } from '@sallyport/shared/mesh';
import { type JwtAuthority, TrustBridge } from '@sallyport/shared/pki';

/** The bundle of one trust domain. Roots in PEM. */
export interface DomainBundle {
  readonly roots: readonly string[];
  readonly jwtKeys: readonly JwtAuthority[];
}

/** Identities that are not to be believed any more, whatever their certificates say. Serials in lower-case hexadecimal. */
export interface Denylist {
  readonly serials: readonly string[];
  readonly spiffeIds: readonly string[];
}

/** A peer as its certificate names it. */
export interface Peer {
  readonly id: SpiffeId;
  readonly serial: string;
}

/** What the operator says about whom to trust. */
export interface TrustUpdate extends DomainBundle {
  /** Bundles of other trust domains, by their names. */
  readonly federated: ReadonlyMap<string, DomainBundle>;
  readonly denylist: Denylist;
}

/**
 * Whom this process believes: the bundles of its own trust domain and of federated ones, each for its own domain alone,
 * and the denylist. Shared by every identity of the process. Connections of peers that it stops to trust are closed.
 */
export class TrustBundle {
  readonly trustDomain: string;
  readonly #bridge = new TrustBridge();
  readonly #listeners = new Set<() => void>();
  readonly #peers = new Map<Socket, Peer>();
  #own: DomainBundle = { roots: [], jwtKeys: [] };
  #federated: ReadonlyMap<string, DomainBundle> = new Map();
  #denylist: Denylist = { serials: [], spiffeIds: [] };
  #anchors: readonly string[] | null = null;

  constructor(trustDomain: string) {
    this.trustDomain = trustDomain;
  }

  /** Roots of our own trust domain. */
  get roots(): readonly string[] {
    return this.#own.roots;
  }

  /** Every bundle by its trust domain, our own among them. */
  get bundles(): ReadonlyMap<string, DomainBundle> {
    return new Map([...this.#federated, [this.trustDomain, this.#own]]);
  }

  /** What TLS is to trust: certificates that bind each root to its trust domain. */
  get anchors(): readonly string[] {
    this.#anchors ??= this.#bridge.anchors(new Map([...this.bundles].map(([name, { roots }]) => [name, roots])));
    return this.#anchors;
  }

  /** Replaces our own roots and tells listeners when they differ. An empty list is ignored: it would trust nobody forever. */
  replace(roots: readonly string[]): void {
    if (roots.length === 0 || sameSet(roots, this.#own.roots)) return;
    this.#own = { ...this.#own, roots: [...roots] };
    this.#changed();
  }

  /** Takes all that a configuration says, and ends at once what it forbids. */
  update({ roots, jwtKeys, federated, denylist }: TrustUpdate): void {
    const before = JSON.stringify([...this.bundles]);
    if (roots.length > 0) this.#own = { roots: [...roots], jwtKeys };
    this.#federated = new Map([...federated].filter(([name]) => name !== this.trustDomain));
    this.#denylist = denylist;
    if (JSON.stringify([...this.bundles]) !== before) this.#changed();
    for (const [socket, peer] of this.#peers) if (this.objection(peer) !== null) socket.destroy();
  }

  /** Why a peer with a good certificate is still not believed; null when it is. */
  objection({ id, serial }: Peer): string | null {
    if (id.trustDomain !== this.trustDomain && !this.#federated.has(id.trustDomain)) return `peer ${id.uri} belongs to another trust domain`;
    if (this.#denylist.spiffeIds.includes(id.uri)) return `peer ${id.uri} is on the denylist`;
    if (this.#denylist.serials.includes(serial)) return `certificate ${serial} of peer ${id.uri} is on the denylist`;
    return null;
  }

  /** Remembers an open connection, to close it when its peer is no longer to be believed. */
  watch(socket: Socket, peer: Peer): void {
    this.#peers.set(socket, peer);
    socket.once('close', () => this.#peers.delete(socket));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    this.#anchors = null;
    for (const listener of this.#listeners) listener();
  }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}
