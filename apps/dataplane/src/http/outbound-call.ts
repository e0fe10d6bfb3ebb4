import { FLOW_REASONS, type FlowReason } from '@sallyport/shared/mesh';
import { normalizePath } from '@sallyport/shared/policy';
import type { Link } from '../link/link.ts';
import { DialError } from '../listener/dial.ts';
import { outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import { retirement } from '../listener/retirement.ts';
import type { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowAmounts, FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { CallTrace } from '../telemetry/trace.ts';
import type { Place } from '../traffic/breaker.ts';
import type { CallPlan } from '../traffic/call-plan.ts';
import type { Fault } from '../traffic/faults.ts';
import type { Backend } from '../traffic/group.ts';
import type { ServicePlan } from '../traffic/plan.ts';
import type { AttemptEnd } from '../traffic/retries.ts';
import { compileRemoval } from '../wire/index.ts';
import { OverloadError } from './connection-gate.ts';
import type { AnswerHead, Downstream, Edits, RequestMessage, ResponseMessage, SwitchedUpstream, UpstreamPool } from './exchange.ts';
import { PatienceError } from './endings.ts';
import { forward, type ForwardOutcome, type ForwardUser, type Hop } from './forward.ts';
import { grpcStatusFields, grpcStatusOf } from './grpc-refusal.ts';
import { grpcTimeoutOf } from './grpc-timeout.ts';
import { Hold } from './hold.ts';
import { InvalidAnswer } from './invalid-answer.ts';
import { MirrorCopy } from './mirror-copy.ts';
import { refuse, type RefusalParts } from './own-response.ts';
import type { EndpointPools } from './pool.ts';
import { requestEdits, withTimeLeft } from './request-edits.ts';
import { RESERVED } from './reserved.ts';
import { type Endpoint, type HttpVersion, versionTo } from './route.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };

/** A workload outside the mesh has no say about verdicts; a proxy of the mesh has. */
const FROM_OUTSIDE: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };
const FROM_MESH: Edits = { removal: compileRemoval([], []), added: [] };

type Destination = FlowFacts['destination'];

/** Where a host leads, and how calls get there. */
export interface Route {
  readonly destination: Destination;
  readonly plan: ServicePlan;
}

/** What all calls of a workload share. */
export interface OutboundService {
  readonly recorder: Recorder;
  /** @param plan whose limits hold for the connections; null for none */
  pools(version: HttpVersion, plan: ServicePlan | null): EndpointPools;
  readonly switched: OpenCalls;
  readonly closing: boolean;
}

/** One call of the application: planned, perhaps held or answered in the service's place, else forwarded. */
export class OutboundCall implements ForwardUser {
  readonly #service: OutboundService;
  readonly #target: OutboundTarget;
  readonly #call: Downstream;
  readonly #trace: CallTrace;
  readonly #startedAt = performance.now();
  readonly #route: Route;
  readonly #plan: CallPlan;
  readonly #edits: Edits;
  #place: Place | null = null;
  #facts: FlowFacts | null = null;
  #said: FlowReason | null = null;
  /** Of the answer; 0 before there is one. */
  #status = 0;
  /** Address of the last endpoint that was tried. */
  #peer: string | null = null;

  constructor(service: OutboundService, target: OutboundTarget, call: Downstream, route: Route) {
    this.#service = service;
    this.#target = target;
    this.#call = call;
    this.#trace = service.recorder.tracer.begin(call.request.header('traceparent'));
    this.#plan = route.plan.begin(call.request, this.#startedAt, grpcTimeoutOf(call.request));
    this.#edits = requestEdits(this.#trace, null);
    this.#route = route;
  }

  carry(): void {
    const { fault, deadline } = this.#plan;
    if (fault === null) return this.#enter();
    if (fault.delay === 0) return this.#suffer(fault);
    const left = deadline.left(performance.now());
    this.#hold(Math.min(fault.delay, left), () => (fault.delay < left ? this.#suffer(fault) : this.#late()));
  }

  #suffer({ answer }: Fault): void {
    if (answer === null) return this.#enter();
    if ('httpStatus' in answer) return this.#fail(answer.httpStatus, 'fault-injected', 'the traffic policy aborts this call');
    const headers = grpcStatusFields(answer.grpcStatus, 'the traffic policy aborts this call');
    this.#fail(200, 'fault-injected', '', { headers: [['content-type', 'application/grpc'], ...headers], body: Buffer.alloc(0) });
  }

  /** Takes a place among the calls that are open, or waits for one. */
  #enter(): void {
    const breaker = this.#route.plan.requests;
    if (!breaker.limited) return this.#forward();
    let hold: Hold | null = null;
    const place = breaker.enter(() => {
      hold?.release();
      this.#forward();
    });
    if (place === null) return this.#fail(503, 'overloaded', 'the traffic policy allows no more calls at once');
    this.#place = place;
    if (place.waiting) hold = this.#hold(this.#plan.deadline.left(performance.now()), () => this.#late());
    else this.#forward();
  }

  /** While it is held its caller may leave. */
  #hold(ms: number, timeUp: () => void): Hold {
    const left = () => this.finished({ kind: 'abandoned', error: null, received: 0, sent: 0 });
    return new Hold(this.#call, ms, { timeUp, left });
  }

  #late(): void {
    this.#fail(504, 'timeout', 'there was no answer in time');
  }

  #forward(): void {
    const hop = this.next();
    if (hop === null) return this.#fail(503, 'upstream-unreachable', 'the service has no endpoint');
    const { request } = this.#call;
    forward(this.#call, { request, target: request.target, trailers: RESERVED, copy: this.#copy(hop.edits), deadline: this.#plan.deadline.whole }, hop, this);
  }

  #copy(edits: Edits): MirrorCopy | null {
    const { request, bodyEnded } = this.#call;
    const plan = request.webSocket ? null : this.#route.plan.mirror();
    if (plan === null) return null;
    return new MirrorCopy(plan, this.#poolFor(plan.endpoint, plan.backend, null), { request, edits, trailers: RESERVED, body: !bodyEnded });
  }

  /** Answers without having asked anybody, or after all that were asked. */
  #fail(status: number, reason: FlowReason, text: string, parts?: RefusalParts): void {
    this.#done();
    this.#record({ ...this.#factsNow(), verdict: 'failed', reason }, ONE, status);
    refuse(this.#call, status, reason, text, this.#service.closing, parts);
  }

  // The forwarding.

  again(end: AnswerHead | Error, untouched: boolean, replayable: boolean): number | null {
    // Another attempt would find as little room, and no endpoint is at fault.
    if (end instanceof OverloadError) return null;
    return this.#plan.ended(this.#endOf(end, untouched), replayable, performance.now());
  }

  /** How an attempt ended, as plans put it. */
  #endOf(end: AnswerHead | Error, untouched: boolean): AttemptEnd {
    if (end instanceof Error) return failedEnd(end, untouched);
    const grpc = this.#plan.asksForGrpc ? grpcStatusOf(end) : null;
    return grpc === null ? end.status : { grpc };
  }

  get readsTrailers(): boolean {
    return this.#plan.asksForGrpc && this.#call.request.version === '2';
  }

  next(): Hop | null {
    const now = performance.now();
    const endpoint = this.#plan.choose(now);
    if (endpoint === null) return null;
    this.#facts = this.#factsOf(endpoint);
    this.#peer = endpoint.address;
    const { deadline, backend } = this.#plan;
    const edits = Number.isFinite(deadline.whole) && now - this.#startedAt >= 1 ? withTimeLeft(this.#edits, deadline.whole - now) : this.#edits;
    return { pool: this.#poolFor(endpoint, backend, this.#route.plan), edits, answer: endpoint.spiffeId === null ? FROM_OUTSIDE : FROM_MESH, patience: deadline.patience(now) };
  }

  /** What the called proxy said about the call, by its reason header. An application cannot send it: proxies drop it. */
  answered(response: ResponseMessage): boolean {
    this.#status = response.status;
    if (this.#facts?.mtls === 'mutual') {
      const said = response.header('x-sallyport-reason');
      this.#said = said === null ? null : (FLOW_REASONS.find((known) => known === said) ?? null);
    }
    return this.#service.closing;
  }

  finished({ kind, error, received, sent }: ForwardOutcome): void {
    const { recorder, closing } = this.#service;
    const facts = this.#factsNow();
    // The answer broke off: no good endpoint does that.
    if (kind === 'answered' && error !== null) this.again(error, false, false);
    this.#done();
    const amounts = { count: 1, bytesReceived: received, bytesSent: sent };
    if (kind !== 'unreachable') return this.#record(withVerdict(facts, this.#said), amounts, this.#status);
    const { status, reason, text } = failureOf(error, facts.destination.service);
    // Without a verified handshake nobody can say how the call was protected.
    const mtls = facts.mtls === 'mutual' && (error instanceof DialError || error instanceof OverloadError) ? 'unknown' : facts.mtls;
    this.#record({ ...facts, mtls, verdict: 'failed', reason }, amounts, status);
    if (reason !== 'overloaded') recorder.unreachable(facts, error?.message ?? '');
    refuse(this.#call, status, reason, text, closing);
  }

  switched(client: Link, upstream: SwitchedUpstream, bytesReceived: number): void {
    const { switched } = this.#service;
    const facts = this.#factsNow();
    this.#record(facts, { count: 1, bytesReceived, bytesSent: upstream.rest.length }, 101);
    const ended = () => {
      upstream.ended();
      this.#done();
    };
    switched.join(client, upstream.link, { facts, retireAt: retirement(), allowed: () => Promise.resolve(true), ended });
  }

  #record(facts: FlowFacts, amounts: FlowAmounts, status: number): void {
    const peer = this.#peer === null ? {} : { peer: this.#peer };
    this.#service.recorder.record({ facts, amounts, trace: this.#trace, startedAt: this.#startedAt, status, ...peer });
  }

  /** Backends of one service may speak different versions. */
  #poolFor(endpoint: Endpoint, backend: Backend | null, plan: ServicePlan | null): UpstreamPool {
    const version = versionTo(backend?.port?.protocol ?? 'http', this.#call.request.version);
    return this.#service.pools(version, plan).poolFor(endpoint, this.#target.credentials);
  }

  /** Gives back what the call held. More than once does no more. */
  #done(): void {
    this.#plan.finish();
    this.#place?.leave();
  }

  /** Those of the last attempt, or of a call that was sent to nobody. */
  #factsNow(): FlowFacts {
    return this.#facts ?? this.#factsOf(null);
  }

  #factsOf(endpoint: Endpoint | null): FlowFacts {
    const { backend } = this.#plan;
    const { destination } = this.#route;
    const port = backend?.port?.port ?? destination.port;
    const asCalled = backend === null || (backend.service === destination.service && port === destination.port);
    return callFacts(this.#call.request, this.#target, asCalled ? destination : { ...destination, service: backend.service, port }, endpoint);
  }
}

/** Facts of a call as allowed; callers overwrite what differs. */
export function callFacts({ method, target }: RequestMessage, to: OutboundTarget, destination: Destination, endpoint: Endpoint | null): FlowFacts {
  const normal = normalizePath(target, to.snapshot.mesh);
  return { ...outboundFacts(to, destination, endpoint), method, path: normal.ok ? normal.path : null };
}

function failedEnd(end: Error, untouched: boolean): AttemptEnd {
  if (end instanceof DialError) return 'refused';
  if (end instanceof PatienceError) return 'timeout';
  return untouched ? 'untouched' : 'broken';
}

function failureOf(error: Error | null, service: string | null): { readonly status: number; readonly reason: FlowReason; readonly text: string } {
  if (error instanceof PatienceError) return { status: 504, reason: 'timeout', text: 'there was no answer in time' };
  if (error instanceof OverloadError) return { status: 503, reason: 'overloaded', text: error.message };
  const reason = error instanceof DialError ? error.reason : 'upstream-unreachable';
  return { status: reason === 'upstream-identity' || error instanceof InvalidAnswer ? 502 : 503, reason, text: `cannot reach ${service ?? 'the service'}` };
}

/** An authorizer may deny with any status, also with the one that a missing application gets. */
function withVerdict(facts: FlowFacts, said: FlowReason | null): FlowFacts {
  if (said === null) return facts;
  return { ...facts, verdict: said === 'upstream-unreachable' || said === 'timeout' ? 'failed' : 'denied', reason: said };
}
