import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatAddress } from '../listener/address.ts';
import { dialPlaintext } from '../listener/dial.ts';
import { type InboundHandler, type InboundTarget, inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import type { Authorizers } from '../ext-authz/authorizers.ts';
import { SocketLink } from '../link/socket-link.ts';
import { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { PooledAgent } from './agents.ts';
import { type ForwardOutcome, type ForwardPlan, forward, refuse, type RefusalParts } from './forward.ts';
import { endToEnd, framing, hasBody, type HeaderPair, isReserved, requestProblem, traceParent } from './headers.ts';
import { Judge, type Verdict } from './judge.ts';
import type { JudgedRequest } from './question.ts';
import { HttpServer, type UpgradeRequest } from './server.ts';

/** One request with what is known about it before it is decided. */
interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly upgrade: UpgradeRequest | null;
  readonly peer: PeerConnection;
  readonly target: InboundTarget;
  readonly headers: readonly HeaderPair[];
  readonly trace: { readonly header: string; readonly traceId: string };
}

/** Serves an HTTP port: every request is decided by policy, then forwarded to the application in its normal form. */
export class InboundHttp implements InboundHandler {
  readonly #target: () => InboundTarget;
  readonly #recorder: Recorder;
  readonly #judge: Judge;
  readonly #server: HttpServer;
  readonly #switched: OpenCalls;
  readonly #peers = new WeakMap<Socket, PeerConnection>();
  #app: { readonly address: string; readonly agent: PooledAgent } | null = null;

  constructor(target: () => InboundTarget, recorder: Recorder, authorizers: Authorizers) {
    this.#judge = new Judge(authorizers);
    this.#target = target;
    this.#recorder = recorder;
    this.#switched = new OpenCalls(recorder);
    this.#server = new HttpServer({
      request: (req, res, upgrade) => {
        this.#handle(req, res, upgrade).catch((error: unknown) => {
          req.socket.destroy();
          recorder.defect(error);
        });
      },
      malformed: (socket) => this.#malformed(socket),
    });
  }

  accept(connection: PeerConnection): void {
    if (!(connection.link instanceof SocketLink)) return connection.link.destroy();
    const { socket } = connection.link;
    this.#peers.set(socket, connection);
    this.#server.accept(socket);
  }

  recheck(): void {
    this.#switched.recheck();
  }

  async close(grace: number): Promise<void> {
    await Promise.all([this.#server.close(grace), this.#switched.close(grace)]);
    this.#app?.agent.retire();
  }

  async #handle(req: IncomingMessage, res: ServerResponse, upgrade: UpgradeRequest | null): Promise<void> {
    const peer = this.#peers.get(req.socket);
    if (!peer) return void req.socket.destroy();
    const target = this.#target();
    // What the peer says about identity or verdicts is dropped before policy looks.
    const headers = endToEnd(req.rawHeaders, isReserved);
    const call: Call = { req, res, upgrade, peer, target, headers, trace: traceParent(req) };
    const problem = requestProblem(req);
    if (problem) return this.#refuse(call, problem.status, problem.message, { reason: 'bad-request' });
    const verdict = await this.#judge.judge(judged(call), this.#target);
    // The verdict is by what the port serves now; so is everything that follows.
    const now = { ...call, target: this.#target() };
    this.#recorder.shadow(verdict.shadow, factsOf(now).destination);
    if (verdict.allowed) return this.#forward(now, verdict);
    const { status, reason, policy, path, text, parts } = verdict;
    this.#refuse(now, status, text, { reason, policy, path }, parts);
  }

  #refuse(call: Call, status: number, text: string, why: Pick<FlowFacts, 'reason'> & Partial<FlowFacts>, parts?: RefusalParts): void {
    const facts: FlowFacts = { ...factsOf(call), verdict: 'denied', ...why };
    this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: call.trace.traceId });
    refuse(call.req, call.res, status, why.reason ?? 'policy-deny', text, this.#mustClose(call.peer), parts);
  }

  async #forward(call: Call, verdict: Extract<Verdict, { allowed: true }>): Promise<void> {
    const { req, res } = call;
    const facts: FlowFacts = { ...factsOf(call), path: verdict.path, policy: verdict.policy };
    const plan = this.#plan(call, verdict, facts);
    let outcome = await forward(req, res, plan);
    if (outcome.kind === 'unreachable' && outcome.retryable) outcome = await forward(req, res, plan);
    this.#finish(call, facts, outcome);
  }

  #finish(call: Call, facts: FlowFacts, { kind, error, answer, received, sent }: ForwardOutcome): void {
    const { traceId } = call.trace;
    // A switched connection was counted when it began.
    if (answer?.statusCode === 101 && call.upgrade) return;
    const amounts = { count: 1, bytesReceived: received, bytesSent: sent };
    if (kind !== 'unreachable') return this.#recorder.record({ facts, amounts, traceId });
    this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason: 'upstream-unreachable' }, amounts, traceId });
    this.#recorder.unreachable(facts, error?.message ?? '');
    refuse(call.req, call.res, 503, 'upstream-unreachable', 'the application does not answer', this.#mustClose(call.peer));
  }

  #plan(call: Call, { target: path, headers }: Extract<Verdict, { allowed: true }>, facts: FlowFacts): ForwardPlan {
    const { req, upgrade, peer, target, trace } = call;
    const outputs = target.workload.authentication?.outputs;
    const own = target.workload.spiffeId;
    const added: HeaderPair[] = [...framing(req), ['traceparent', trace.header]];
    // Envoy's form of the header: who we are, and who the verified peer is. Plaintext peers have no identity to state.
    if (peer.principal !== null) added.push(['x-forwarded-client-cert', `By=${own};URI=${peer.principal}`]);
    if (upgrade) added.push(['connection', 'Upgrade'], ['upgrade', 'websocket']);
    return {
      agent: this.#agent(target),
      path,
      headers: [...headers.filter(([name]) => name.toLowerCase() !== 'traceparent'), ...added],
      dropFromAnswer: (name) => name.startsWith('x-sallyport-'),
      // As a trailer, what only we may say would be read by some as if it were a header.
      dropTrailer: (name) => outputs?.has(name) ?? false,
      close: this.#mustClose(peer),
      upgrade,
      switched: (client, upstream) => {
        this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: trace.traceId });
        this.#switched.join(new SocketLink(client as Socket), new SocketLink(upstream as Socket), facts, peer.retireAt, () => this.#stillAllowed(call));
        // What changed while the application made up its mind was not asked about yet.
        if (this.#target() !== target) this.#switched.recheck();
      },
    };
  }

  async #stillAllowed(call: Call): Promise<boolean> {
    const verdict = await this.#judge.judge(judged(call), this.#target);
    if (verdict.allowed) return true;
    const { reason, policy, path } = verdict;
    const facts: FlowFacts = { ...factsOf({ ...call, target: this.#target() }), verdict: 'denied', reason, policy, path };
    this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: call.trace.traceId });
    return false;
  }

  #agent({ app }: InboundTarget): PooledAgent {
    const address = formatAddress(app);
    if (this.#app?.address !== address) {
      this.#app?.agent.retire();
      this.#app = { address, agent: new PooledAgent(async () => (await dialPlaintext(app, false)).socket) };
    }
    return this.#app.agent;
  }

  #mustClose(peer: PeerConnection): boolean {
    return this.#server.closing || Date.now() > peer.retireAt;
  }

  #malformed(socket: Socket): void {
    const peer = this.#peers.get(socket);
    if (!peer) return;
    const facts: FlowFacts = { ...inboundFacts(this.#target(), peer.principal, peer.ip), verdict: 'denied', reason: 'bad-request' };
    this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: null });
  }
}

function judged({ req, peer, headers, trace }: Call): JudgedRequest {
  const announced = req.headers['content-length'];
  const size = announced === undefined ? (hasBody(req) ? -1 : 0) : Number(announced);
  return { peer, method: req.method ?? '', host: req.headers.host ?? '', target: req.url ?? '', headers, size, id: trace.traceId };
}

function factsOf({ req, peer, target }: Call): FlowFacts {
  return { ...inboundFacts(target, peer.principal, peer.ip), method: req.method?.slice(0, 64) ?? null };
}
