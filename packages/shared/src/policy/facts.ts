import { type Address, parseAddress } from './match.ts';
import { NOBODY, peerIdentity, type PeerIdentity } from './identity.ts';
import type { PolicyRequest } from './types.ts';

/** How many distinct texts a memo holds before it starts anew: bounded against peers that never come twice. */
const MEMO_SIZE = 4096;

/** What is read from a text, remembered so that the same peers cost nothing again. */
class Memo<V> {
  readonly #read: (text: string) => V;
  readonly #known = new Map<string, V>();

  constructor(read: (text: string) => V) {
    this.#read = read;
  }

  get(text: string): V {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const value = this.#read(text);
    if (this.#known.size >= MEMO_SIZE) this.#known.clear();
    this.#known.set(text, value);
    return value;
  }
}

/** The request with what rules ask of it. One object is filled anew for each decision, so that deciding allocates nothing. */
export class Facts {
  readonly #peers = new Memo<PeerIdentity | 'invalid'>((text) => peerIdentity(text) ?? 'invalid');
  readonly #addresses = new Memo<Exclude<Address, null> | 'invalid'>((text) => parseAddress(text) ?? 'invalid');
  request: PolicyRequest = NOTHING;
  peer: PeerIdentity = NOBODY;
  /** Lower case, as hosts are compared. */
  host = '';
  /** The host without a port. */
  bareHost = '';
  path = '';
  /** In decimal, as policies write it. */
  port = '0';
  #portNumber = 0;

  /** @returns false when the peer's principal is no SPIFFE ID */
  load(request: PolicyRequest): boolean {
    const peer = request.source.principal === null ? NOBODY : this.#peers.get(request.source.principal);
    if (peer === 'invalid') return false;
    this.request = request;
    this.peer = peer;
    this.path = request.http?.path ?? '';
    if (request.destination.port !== this.#portNumber) {
      this.#portNumber = request.destination.port;
      this.port = String(request.destination.port);
    }
    this.host = request.http === undefined ? '' : request.http.host.toLowerCase();
    this.bareHost = withoutPort(this.host);
    return true;
  }

  address(text: string): Address {
    const address = this.#addresses.get(text);
    return address === 'invalid' ? null : address;
  }
}

const NOTHING: PolicyRequest = { protocol: 'tcp', source: { principal: null, ip: '' }, destination: { ip: '', port: 0 } };

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
