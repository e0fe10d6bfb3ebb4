import { FLOW_REASONS, type FlowReason } from '@sallyport/shared/mesh';
import { normalizePath } from '@sallyport/shared/policy';
import type { Link } from '../link/link.ts';
import { DialError } from '../listener/dial.ts';
import { outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import type { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { compileRemoval, type Removal } from '../wire/index.ts';
import type { Downstream, Edits, ResponseMessage } from './exchange.ts';
import { forward, type ForwardOutcome, type ForwardUser, type Hop, RESERVED } from './forward.ts';
import { refuse } from './own-response.ts';
import type { EndpointPools } from './pool.ts';
import { type Endpoint, type HttpVersion, type ServicePort, versionTo } from './route.ts';
import { type Trace, traceOf } from './trace.ts';

const MAX_AGE_MS = 3_600_000;
const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };

/** What we say about a request, and what no workload may say. */
const OURS: Removal = compileRemoval(['x-forwarded-client-cert', 'traceparent'], ['x-sallyport-']);
/** A workload outside the mesh has no say about verdicts; a proxy of the mesh has. */
const FROM_OUTSIDE: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };
const FROM_MESH: Edits = { removal: compileRemoval([], []), added: [] };

type Destination = FlowFacts['destination'];

/** Where a host leads. */
export interface Route {
  readonly destination: Destination;
  readonly port: ServicePort;
}

/** What all calls of a workload share. */
export interface OutboundService {
  readonly recorder: Recorder;
  pools(version: HttpVersion): EndpointPools;
  readonly switched: OpenCalls;
  readonly closing: boolean;
}

/** One call of the application. */
export class OutboundCall implements ForwardUser {
  readonly #service: OutboundService;
  readonly #target: OutboundTarget;
  readonly #call: Downstream;
  readonly #trace: Trace;
  #version: HttpVersion = 1;
  #route: Route | null = null;
  #endpoint: Endpoint | null = null;
  #facts: FlowFacts | null = null;
  #said: FlowReason | null = null;

  constructor(service: OutboundService, target: OutboundTarget, call: Downstream) {
    this.#service = service;
    this.#target = target;
    this.#call = call;
    this.#trace = traceOf(call.request.header('traceparent'));
  }

  /** Tries one endpoint of the service and, when it took nothing of the request, once another. */
  carry(route: Route): void {
    const { destination, port } = route;
    this.#version = versionTo(port.protocol, this.#call.request.version);
    const endpoint = this.#pools.choose(port.endpoints, this.#target.credentials, null);
    if (endpoint === null) return this.fail(destination, 503, 'upstream-unreachable', 'the service has no endpoint');
    this.#route = route;
    this.#facts = this.#factsOf(destination, endpoint);
    const { request } = this.#call;
    const edits: Edits = { removal: OURS, added: [this.#trace.field] };
    forward(this.#call, { request, target: request.target, edits, trailers: RESERVED }, this.#hop(endpoint), this);
  }

  fail(destination: Destination, status: number, reason: FlowReason, text: string): void {
    const facts: FlowFacts = { ...this.#factsOf(destination, null), verdict: 'failed', reason };
    this.#service.recorder.record({ facts, amounts: ONE, traceId: this.#trace.traceId });
    refuse(this.#call, status, reason, text, this.#service.closing);
  }

  // The forwarding.

  again(error: Error): Hop | null {
    const first = this.#endpoint;
    const endpoints = this.#route?.port.endpoints ?? [];
    const second = this.#pools.choose(endpoints, this.#target.credentials, first) ?? first;
    // The same endpoint again only when a kept-alive connection was stale: a refused one would be refused again.
    if (second === null || (second === first && error instanceof DialError)) return null;
    if (this.#route !== null) this.#facts = this.#factsOf(this.#route.destination, second);
    return this.#hop(second);
  }

  /** What the called proxy said about the call, by its reason header. An application cannot send it: proxies drop it. */
  answered(response: ResponseMessage): boolean {
    if (this.#facts?.mtls === 'mutual') {
      const said = response.header('x-sallyport-reason');
      this.#said = said === null ? null : (FLOW_REASONS.find((known) => known === said) ?? null);
    }
    return this.#service.closing;
  }

  finished({ kind, error, received, sent }: ForwardOutcome): void {
    const { recorder, closing } = this.#service;
    const amounts = { count: 1, bytesReceived: received, bytesSent: sent };
    const { traceId } = this.#trace;
    const facts = this.#facts;
    if (facts === null) return;
    if (kind !== 'unreachable') return recorder.record({ facts: withVerdict(facts, this.#said), amounts, traceId });
    const reason = error instanceof DialError ? error.reason : 'upstream-unreachable';
    // Without a verified handshake nobody can say how the call was protected.
    const mtls = facts.mtls === 'mutual' && error instanceof DialError ? 'unknown' : facts.mtls;
    recorder.record({ facts: { ...facts, mtls, verdict: 'failed', reason }, amounts, traceId });
    recorder.unreachable(facts, error?.message ?? '');
    const status = reason === 'upstream-identity' ? 502 : 503;
    refuse(this.#call, status, reason, `cannot reach ${facts.destination.service ?? 'the service'}`, closing);
  }

  switched(client: Link, upstream: Link, bytesReceived: number, bytesSent: number): void {
    const { recorder, switched } = this.#service;
    const facts = this.#facts;
    if (facts === null) return;
    recorder.record({ facts, amounts: { count: 1, bytesReceived, bytesSent }, traceId: this.#trace.traceId });
    switched.join(client, upstream, facts, Date.now() + MAX_AGE_MS, () => Promise.resolve(true));
  }

  get #pools(): EndpointPools {
    return this.#service.pools(this.#version);
  }

  #hop(endpoint: Endpoint): Hop {
    this.#endpoint = endpoint;
    return { pool: this.#pools.poolFor(endpoint, this.#target.credentials), answer: endpoint.spiffeId === null ? FROM_OUTSIDE : FROM_MESH };
  }

  #factsOf(destination: Destination, endpoint: Endpoint | null): FlowFacts {
    const { method, target } = this.#call.request;
    const normal = normalizePath(target, this.#target.snapshot.mesh);
    return { ...outboundFacts(this.#target, destination, endpoint), method, path: normal.ok ? normal.path : null };
  }
}

/** An authorizer may deny with any status, also with the one that a missing application gets. */
function withVerdict(facts: FlowFacts, said: FlowReason | null): FlowFacts {
  if (said === null) return facts;
  return { ...facts, verdict: said === 'upstream-unreachable' ? 'failed' : 'denied', reason: said };
}
