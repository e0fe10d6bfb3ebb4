import { type Address, parseAddress } from './address.ts';
import { intern } from './match.ts';
import { NOBODY, peerIdentity, type PeerIdentity } from './identity.ts';
import type { PolicyRequest } from './types.ts';

/** How many distinct texts one generation of a memo holds: bounded against peers that never come twice. */
const GENERATION = 8192;

/**
 * What is read from a text, remembered so that the same peers cost nothing again. When a generation is full it becomes
 * the old one and the one before it is forgotten; what is asked for again moves to the new one.
 */
class Memo<V> {
  readonly #read: (text: string) => V;
  #known = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(read: (text: string) => V) {
    this.#read = read;
  }

  get(text: string): V {
    const known = this.#known.get(text);
    return known === undefined ? this.#miss(text) : known;
  }

  #miss(text: string): V {
    const value = this.#old.get(text) ?? this.#read(text);
    if (this.#known.size >= GENERATION) {
      this.#old = this.#known;
      this.#known = new Map();
    }
    this.#known.set(text, value);
    return value;
  }
}

/** The request with what rules ask of it. One object is filled anew for each decision, so that deciding allocates nothing. */
export class Facts {
  readonly #peers = new Memo<PeerIdentity | 'invalid'>((text) => interned(peerIdentity(text)));
  readonly #addresses = new Memo<Exclude<Address, null> | 'invalid'>((text) => parseAddress(text) ?? 'invalid');
  request: PolicyRequest = NOTHING;
  peer: PeerIdentity = NOBODY;
  path = '';
  /** '' for a TCP connection. */
  method = '';
  /** In decimal, as policies write it. */
  port = '0';
  #portNumber = 0;
  /** Null until a rule asks: most do not. */
  #host: string | null = null;
  #bareHost: string | null = null;

  /** @returns false when the peer's principal is no SPIFFE ID */
  load(request: PolicyRequest): boolean {
    const peer = request.source.principal === null ? NOBODY : this.#peers.get(request.source.principal);
    if (peer === 'invalid') return false;
    this.request = request;
    this.peer = peer;
    const { http } = request;
    this.path = http === undefined ? '' : http.path;
    this.method = http === undefined ? '' : http.method;
    if (request.destination.port !== this.#portNumber) {
      this.#portNumber = request.destination.port;
      this.port = String(request.destination.port);
    }
    this.#host = null;
    this.#bareHost = null;
    return true;
  }

  /** Lower case, as hosts are compared; '' for a TCP connection. */
  get host(): string {
    this.#host ??= this.request.http === undefined ? '' : this.request.http.host.toLowerCase();
    return this.#host;
  }

  /** The host without a port. */
  get bareHost(): string {
    this.#bareHost ??= withoutPort(this.host);
    return this.#bareHost;
  }

  address(text: string): Address {
    const address = this.#addresses.get(text);
    return address === 'invalid' ? null : address;
  }
}

const NOTHING: PolicyRequest = { protocol: 'tcp', source: { principal: null, ip: '' }, destination: { ip: '', port: 0 } };

/** The identity with texts that are compared by where they are: rules keep theirs so, too. */
function interned(peer: PeerIdentity | null): PeerIdentity | 'invalid' {
  if (peer === null) return 'invalid';
  return { principal: intern(peer.principal), trustDomain: peer.trustDomain, namespace: intern(peer.namespace), serviceAccount: intern(peer.serviceAccount) };
}

/** `h:80` and `[::1]:80` without the port. */
function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  if (colon < 0 || host.endsWith(']')) return host;
  for (let i = colon + 1; i < host.length; i += 1) {
    const code = host.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return host;
  }
  // An address such as ::1 has no port, and more than one colon outside of brackets.
  return host.indexOf(':') === colon || host.charCodeAt(colon - 1) === 0x5d ? host.slice(0, colon) : host;
}
