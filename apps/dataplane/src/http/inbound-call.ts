import type { FlowReason } from '@sallyport/shared/mesh';
import type { Link } from '../link/link.ts';
import { type InboundTarget, inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import type { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowAmounts, FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { CallTrace } from '../telemetry/trace.ts';
import { compileRemoval, type Removal } from '../wire/index.ts';
import type { AnswerHead, Downstream, DownstreamUser, Edits, ResponseMessage, SwitchedUpstream, UpstreamPool } from './exchange.ts';
import { PatienceError } from './endings.ts';
import { forward, type ForwardOutcome, type ForwardUser, type Hop } from './forward.ts';
import { grpcTimeoutOf } from './grpc-timeout.ts';
import { InvalidAnswer } from './invalid-answer.ts';
import type { Judge, Verdict } from './judge.ts';
import { OwnField } from './own-field.ts';
import { refuse } from './own-response.ts';
import { JudgedRequest } from './question.ts';
import { requestEdits, withTimeLeft } from './request-edits.ts';

/** An application cannot speak in our name. */
const ANSWER: Edits = { removal: compileRemoval([], ['x-sallyport-']), added: [] };

type Allowed = Extract<Verdict, { allowed: true }>;
type Denied = Extract<Verdict, { allowed: false }>;

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };

/** What all calls to a port share. */
export interface InboundService {
  readonly target: () => InboundTarget;
  readonly recorder: Recorder;
  readonly judge: Judge;
  readonly switched: OpenCalls;
  readonly closing: boolean;
  /** Connections to the application. */
  pool(target: InboundTarget): UpstreamPool;
  /** What is not passed on of trailers. */
  trailers(target: InboundTarget): Removal;
}

/** What all calls of one connection share. */
export class InboundPeer {
  readonly connection: PeerConnection;
  #own = '';
  #clientCert: OwnField | null = null;

  constructor(connection: PeerConnection) {
    this.connection = connection;
  }

  /** Envoy's form of the header: who we are, and who the verified peer is. Plaintext peers have no identity to state. */
  clientCert(own: string): OwnField | null {
    const { principal } = this.connection;
    if (principal === null) return null;
    if (this.#clientCert === null || this.#own !== own) this.#clientCert = new OwnField('x-forwarded-client-cert', `By=${own};URI=${principal}`);
    this.#own = own;
    return this.#clientCert;
  }
}

/** One call to the application: decided, then forwarded in the form that was decided. */
export class InboundCall implements DownstreamUser, ForwardUser {
  readonly #service: InboundService;
  readonly #peer: InboundPeer;
  readonly #call: Downstream;
  readonly #trace: CallTrace;
  readonly #startedAt = performance.now();
  readonly #judged: JudgedRequest;
  #target: InboundTarget;
  #facts: FlowFacts | null = null;
  #gone = false;
  #hop: Hop | null = null;
  /** Of the answer; 0 before there is one. */
  #status = 0;
  #repeated = false;

  constructor(service: InboundService, peer: InboundPeer, call: Downstream) {
    this.#service = service;
    this.#peer = peer;
    this.#call = call;
    this.#trace = service.recorder.tracer.begin(call.request.header('traceparent'));
    this.#judged = new JudgedRequest(peer.connection, call.request, this.#trace.traceId);
    this.#target = service.target();
  }

  begin(): void {
    const { judge, target } = this.#service;
    const verdict = judge.judge(this.#judged, target);
    if (!(verdict instanceof Promise)) return this.#conclude(verdict);
    this.#call.attach(this);
    verdict.then((settled) => this.#conclude(settled)).catch((error: unknown) => {
      this.#call.abort();
      this.#service.recorder.defect(error);
    });
  }

  // The caller, while the verdict is awaited. What it does then is told to whoever is attached next, or makes no difference.

  onBody(): void {
    // Nothing is read before the verdict.
  }

  onEnd(): void {
    // Nothing is read before the verdict.
  }

  onDrain(): void {
    // Nothing was written.
  }

  onAbort(): void {
    this.#gone = true;
  }

  #conclude(verdict: Verdict): void {
    // The verdict is by what the port serves now; so is everything that follows.
    this.#target = this.#service.target();
    this.#facts = { ...this.#plainFacts(this.#target), path: verdict.path, policy: verdict.policy };
    this.#service.recorder.shadow(verdict.shadow, this.#facts.destination);
    if (!verdict.allowed) return this.#refuse(verdict);
    if (this.#gone) return this.finished({ kind: 'abandoned', error: null, received: 0, sent: 0 });
    this.#forward(verdict);
  }

  #forward({ target, headers }: Allowed): void {
    const request = headers === null ? this.#call.request : this.#call.request.withFields(headers);
    const deadline = this.#startedAt + grpcTimeoutOf(this.#call.request);
    this.#hop = { pool: this.#service.pool(this.#target), edits: this.#edits(deadline), answer: ANSWER, patience: Number.POSITIVE_INFINITY };
    forward(this.#call, { request, target, trailers: this.#service.trailers(this.#target), copy: null, deadline }, this.#hop, this);
  }

  /** Whoever was asked for the verdict may have taken a part of the call's time. */
  #edits(deadline: number): Edits {
    const edits = requestEdits(this.#trace, this.#peer.clientCert(this.#target.workload.spiffeId));
    const now = Number.isFinite(deadline) ? performance.now() : this.#startedAt;
    return now - this.#startedAt >= 1 ? withTimeLeft(edits, deadline - now) : edits;
  }

  // The forwarding.

  /** Once, when the application took nothing of it. */
  again(_end: AnswerHead | Error, untouched: boolean, replayable: boolean): number | null {
    if (!untouched || !replayable || this.#repeated) return null;
    this.#repeated = true;
    return 0;
  }

  get readsTrailers(): boolean {
    return false;
  }

  next(): Hop | null {
    return this.#hop;
  }

  answered(response: ResponseMessage): boolean {
    this.#status = response.status;
    return this.#mustClose();
  }

  finished({ kind, error, received, sent }: ForwardOutcome): void {
    const { recorder } = this.#service;
    const facts = this.#facts ?? this.#plainFacts(this.#target);
    const amounts = { count: 1, bytesReceived: received, bytesSent: sent };
    if (kind !== 'unreachable') return this.#record(facts, amounts, this.#status);
    const { status, reason, text } = failureOf(error);
    this.#record({ ...facts, verdict: 'failed', reason }, amounts, status);
    recorder.unreachable(facts, error?.message ?? '');
    refuse(this.#call, status, reason, text, this.#mustClose());
  }

  switched(client: Link, upstream: SwitchedUpstream, bytesReceived: number): void {
    const { switched, target } = this.#service;
    const facts = this.#facts ?? this.#plainFacts(this.#target);
    this.#record(facts, { count: 1, bytesReceived, bytesSent: upstream.rest.length }, 101);
    switched.join(client, upstream.link, { facts, retireAt: this.#peer.connection.retireAt, allowed: () => this.#stillAllowed(), ended: upstream.ended });
    // What changed while the application made up its mind was not asked about yet.
    if (target() !== this.#target) switched.recheck();
  }

  async #stillAllowed(): Promise<boolean> {
    const { judge, target, recorder } = this.#service;
    const verdict = await judge.judge(this.#judged, target);
    if (verdict.allowed) return true;
    recorder.record({ facts: this.#denied(target(), verdict), amounts: ONE, trace: { ...this.#trace, spanId: null } });
    return false;
  }

  #refuse(verdict: Denied): void {
    this.#record(this.#denied(this.#target, verdict), ONE, verdict.status);
    refuse(this.#call, verdict.status, verdict.reason, verdict.text, this.#mustClose(), verdict.parts);
  }

  #record(facts: FlowFacts, amounts: FlowAmounts, status: number): void {
    this.#service.recorder.record({ facts, amounts, trace: this.#trace, startedAt: this.#startedAt, status });
  }

  #denied(target: InboundTarget, { reason, policy, path }: Denied): FlowFacts {
    return { ...this.#plainFacts(target), verdict: 'denied', reason, policy, path };
  }

  #plainFacts(target: InboundTarget): FlowFacts {
    const { principal, ip } = this.#peer.connection;
    return { ...inboundFacts(target, principal, ip), method: this.#call.request.method };
  }

  #mustClose(): boolean {
    return this.#service.closing || Date.now() > this.#peer.connection.retireAt;
  }
}

function failureOf(error: Error | null): { readonly status: number; readonly reason: FlowReason; readonly text: string } {
  if (error instanceof PatienceError) return { status: 504, reason: 'timeout', text: 'there was no answer in time' };
  const invalid = error instanceof InvalidAnswer;
  return { status: invalid ? 502 : 503, reason: 'upstream-unreachable', text: `the application ${invalid ? 'gives no valid answer' : 'does not answer'}` };
}
