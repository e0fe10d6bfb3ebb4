import type { GraphEdge } from '../api/index.ts';
import type { Flow } from '../mesh/index.ts';
import { compare } from './lookup.ts';

/** Kinds of call kept on an edge; the rest stays in the totals. */
const MAX_METHODS = 50;

/**
 * True for connections that ended before anybody was identified. They carried no call: counted as calls, they would let
 * any stranger who knocks spoil the protection of an edge.
 */
export function isFailedHandshake(flow: Pick<Flow, 'reason'>): boolean {
  return flow.reason === 'peer-not-verified';
}

/** What the receiver, and apart from it the caller, counted on one edge. */
export class EdgeTally {
  readonly source: string;
  readonly target: string;
  readonly port: number;
  protocol: 'http' | 'tcp' = 'tcp';
  requests = 0;
  denied = 0;
  lastSeen = 0;
  readonly mtls = { mutual: 0, plaintext: 0, unknown: 0 };
  readonly reporters = new Set<string>();
  readonly policies = new Set<string>();
  readonly #methods = new Map<string, GraphEdge['methods'][number]>();
  #failedInbound = 0;
  #failedHandshakes = 0;
  #failedOutbound = 0;
  /** Calls that by the caller's count arrived, refusals included, and what it knows of them. */
  #sent = 0;
  #sentDenied = 0;
  #sentPlaintext = 0;

  constructor(source: string, target: string, port: number) {
    this.source = source;
    this.target = target;
    this.port = port;
  }

  /** @param foreign the receiver is of another trust domain: our caller's proxy is the only one that tells us, and its word is taken */
  add(flow: Flow, foreign: boolean): void {
    if (flow.protocol === 'http') this.protocol = 'http';
    this.reporters.add(flow.reporter);
    if (flow.policy !== null) this.policies.add(flow.policy);
    this.lastSeen = Math.max(this.lastSeen, flow.lastSeen);
    if (flow.side === 'inbound' || (foreign && flow.verdict !== 'failed')) this.#arrived(flow);
    else this.#left(flow);
  }

  /** Both sides count a call that failed at the receiver, so the larger figure holds, not the sum. */
  get failed(): number {
    return Math.max(this.#failedInbound + this.#failedHandshakes, this.#failedOutbound);
  }

  /** Calls that got through: counted as allowed by the receiver, or, where it counted nothing, sent by the caller. */
  get passed(): number {
    const received = this.requests - this.denied - this.#failedInbound;
    return this.requests > 0 ? received : this.#sent - this.#sentDenied;
  }

  /**
   * Adds what only the caller counted to the protection figures. The caller's word is taken for plaintext towards a
   * workload outside the mesh, because that is what its proxy sent; everything else that nobody received is unknown.
   */
  addUnreceived(receiver: { readonly meshed: boolean; readonly complete: boolean }): void {
    if (receiver.complete) return;
    const missing = Math.max(0, this.#sent - this.requests);
    const plaintext = receiver.meshed ? 0 : Math.min(missing, this.#sentPlaintext);
    this.mtls.plaintext += plaintext;
    this.mtls.unknown += missing - plaintext;
  }

  /** The kinds of call that arrived, most frequent first. */
  methods(): GraphEdge['methods'] {
    return [...this.#methods.values()]
      .sort((a, b) => b.requests - a.requests || compare(`${a.path} ${a.method}`, `${b.path} ${b.method}`))
      .slice(0, MAX_METHODS);
  }

  #arrived(flow: Flow): void {
    if (isFailedHandshake(flow)) {
      this.#failedHandshakes += flow.count;
      return;
    }
    const refused = flow.reason === 'plaintext-refused';
    const denied = refused || flow.verdict === 'denied' ? flow.count : 0;
    this.requests += flow.count;
    this.denied += denied;
    if (flow.verdict === 'failed' && !refused) this.#failedInbound += flow.count;
    this.mtls[refused ? 'plaintext' : flow.mtls] += flow.count;
    if (flow.method === null) return;
    const key = `${flow.method} ${flow.path ?? ''}`;
    const seen = this.#methods.get(key) ?? { method: flow.method, path: flow.path ?? '', requests: 0, denied: 0 };
    seen.requests += flow.count;
    seen.denied += denied;
    this.#methods.set(key, seen);
  }

  #left(flow: Flow): void {
    if (flow.verdict === 'failed') {
      this.#failedOutbound += flow.count;
      return;
    }
    this.#sent += flow.count;
    if (flow.verdict === 'denied') this.#sentDenied += flow.count;
    if (flow.mtls === 'plaintext') this.#sentPlaintext += flow.count;
  }
}
