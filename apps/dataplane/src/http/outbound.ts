import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { FLOW_REASONS, type FlowReason } from '@sallyport/shared/mesh';
import { normalizePath } from '@sallyport/shared/policy';
import { DialError } from '../listener/dial.ts';
import { type OutboundHandler, outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import type { Link } from '../link/link.ts';
import { SocketLink } from '../link/socket-link.ts';
import { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { type ForwardOutcome, type ForwardPlan, forward, refuse } from './forward.ts';
import { endToEnd, framing, type HeaderPair, isReserved, requestProblem, traceParent } from './headers.ts';
import { EndpointPools } from './pool.ts';
import { type Endpoint, httpPort, readHost, type RequestedService, type ServicePort } from './route.ts';
import { HttpServer, type UpgradeRequest } from './server.ts';

const MAX_AGE_MS = 3_600_000;

/** One call of the application. */
interface Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly upgrade: UpgradeRequest | null;
  readonly target: OutboundTarget;
  readonly trace: { readonly header: string; readonly traceId: string };
}

interface Route {
  readonly service: RequestedService;
  readonly port: ServicePort;
}

/** Takes a workload's HTTP calls and carries them to the service that `Host` names, under the workload's identity. */
export class OutboundHttp implements OutboundHandler {
  readonly #target: () => OutboundTarget;
  readonly #recorder: Recorder;
  readonly #server: HttpServer;
  readonly #pools = new EndpointPools();
  readonly #switched: OpenCalls;

  constructor(target: () => OutboundTarget, recorder: Recorder) {
    this.#target = target;
    this.#recorder = recorder;
    this.#switched = new OpenCalls(recorder);
    this.#server = new HttpServer({
      request: (req, res, upgrade) => {
        this.#handle({ req, res, upgrade, target: this.#target(), trace: traceParent(req) }).catch((error: unknown) => {
          req.socket.destroy();
          recorder.defect(error);
        });
      },
      malformed: () => undefined,
    });
  }

  accept(link: Link): void {
    this.#server.accept((link as SocketLink).socket);
  }

  refresh(): void {
    const { snapshot, credentials } = this.#target();
    const endpoints = [...snapshot.services.values()].flatMap((service) => service.ports.flatMap((port) => port.endpoints));
    this.#pools.keep(endpoints, credentials);
  }

  async close(grace: number): Promise<void> {
    await Promise.all([this.#server.close(grace), this.#switched.close(grace)]);
    this.#pools.retire();
  }

  async #handle(call: Call): Promise<void> {
    const { req, target } = call;
    const problem = requestProblem(req);
    if (problem) return this.#fail(call, unknownDestination(target, null), problem.status, 'bad-request', problem.message);
    const wanted = readHost(req.headers.host ?? '', target.workload.namespace);
    const route = wanted && findRoute(target, wanted);
    if (!route) {
      const text = `no service of the mesh is called ${JSON.stringify((req.headers.host ?? '').slice(0, 100))}`;
      return this.#fail(call, unknownDestination(target, wanted), 502, 'unknown-destination', text);
    }
    await this.#carry(call, route);
  }

  /** Tries one endpoint and, when it took nothing of the request, once another. */
  async #carry(call: Call, { service, port }: Route): Promise<void> {
    const { credentials } = call.target;
    const destination = { namespace: service.namespace, workload: null, service: service.name, port: port.port };
    const first = this.#pools.choose(port.endpoints, credentials, null);
    if (!first) return this.#fail(call, destination, 503, 'upstream-unreachable', 'the service has no endpoint');
    let endpoint = first;
    let facts = this.#facts(call, destination, endpoint);
    let outcome = await forward(call.req, call.res, this.#plan(call, endpoint, facts));
    if (outcome.kind === 'unreachable' && outcome.retryable) {
      endpoint = this.#pools.choose(port.endpoints, credentials, first) ?? first;
      // The same endpoint again only when a kept-alive connection was stale: a refused one would be refused again.
      if (endpoint !== first || !(outcome.error instanceof DialError)) {
        facts = this.#facts(call, destination, endpoint);
        outcome = await forward(call.req, call.res, this.#plan(call, endpoint, facts));
      }
    }
    this.#finish(call, facts, outcome);
  }

  #finish(call: Call, facts: FlowFacts, outcome: ForwardOutcome): void {
    const { answer, error, kind, received, sent } = outcome;
    if (answer?.statusCode === 101 && call.upgrade) return;
    const amounts = { count: 1, bytesReceived: received, bytesSent: sent };
    const { traceId } = call.trace;
    if (kind !== 'unreachable') {
      const verdict = facts.mtls === 'mutual' ? verdictOf(answer) : {};
      return this.#recorder.record({ facts: { ...facts, ...verdict }, amounts, traceId });
    }
    const reason = error instanceof DialError ? error.reason : 'upstream-unreachable';
    // Without a verified handshake nobody can say how the call was protected.
    const mtls = facts.mtls === 'mutual' && error instanceof DialError ? 'unknown' : facts.mtls;
    this.#recorder.record({ facts: { ...facts, mtls, verdict: 'failed', reason }, amounts, traceId });
    this.#recorder.unreachable(facts, error?.message ?? '');
    const status = reason === 'upstream-identity' ? 502 : 503;
    refuse(call.req, call.res, status, reason, `cannot reach ${facts.destination.service ?? 'the service'}`, this.#server.closing);
  }

  #fail(call: Call, destination: FlowFacts['destination'], status: number, reason: FlowReason, text: string): void {
    const facts: FlowFacts = { ...this.#facts(call, destination, null), verdict: 'failed', reason };
    this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: call.trace.traceId });
    refuse(call.req, call.res, status, reason, text, this.#server.closing);
  }

  #facts({ req, target }: Call, destination: FlowFacts['destination'], endpoint: Endpoint | null): FlowFacts {
    const normal = normalizePath(req.url ?? '', target.snapshot.mesh);
    return { ...outboundFacts(target, destination, endpoint), method: req.method?.slice(0, 64) ?? null, path: normal.ok ? normal.path : null };
  }

  #plan({ req, upgrade, target, trace }: Call, endpoint: Endpoint, facts: FlowFacts): ForwardPlan {
    const headers = endToEnd(req.rawHeaders, (name) => isReserved(name) || name === 'traceparent');
    const added: HeaderPair[] = [...framing(req), ['traceparent', trace.header]];
    if (upgrade) added.push(['connection', 'Upgrade'], ['upgrade', 'websocket']);
    return {
      agent: this.#pools.agentFor(endpoint, target.credentials),
      path: req.url ?? '/',
      headers: [...headers, ...added],
      // A workload outside the mesh has no say about verdicts; a proxy of the mesh has.
      dropFromAnswer: (name) => endpoint.spiffeId === null && name.startsWith('x-sallyport-'),
      close: this.#server.closing,
      upgrade,
      switched: (client, upstream) => {
        this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: trace.traceId });
        this.#switched.join(new SocketLink(client as Socket), new SocketLink(upstream as Socket), facts, Date.now() + MAX_AGE_MS, () => Promise.resolve(true));
      },
    };
  }
}

/** What the called proxy said about the call, by its reason header. An application cannot send it: proxies drop it. */
function verdictOf(answer: IncomingMessage | null): Partial<FlowFacts> {
  const said = answer?.headers['x-sallyport-reason'];
  const reason = FLOW_REASONS.find((known) => known === said);
  if (!answer || !reason) return {};
  // An authorizer may deny with any status, also with the one that a missing application gets.
  return { verdict: reason === 'upstream-unreachable' ? 'failed' : 'denied', reason };
}

function findRoute({ snapshot }: OutboundTarget, wanted: RequestedService): Route | null {
  const service = snapshot.services.get(`${wanted.namespace}/${wanted.name}`);
  const port = service && httpPort(service, wanted.port);
  return port ? { service: wanted, port } : null;
}

/** Only names that the mesh knows are reported: a made-up host must not make up a namespace. */
function unknownDestination({ workload, snapshot }: OutboundTarget, wanted: RequestedService | null): FlowFacts['destination'] {
  const port = wanted?.port ?? 80;
  const known = wanted && snapshot.services.has(`${wanted.namespace}/${wanted.name}`);
  if (wanted && known) return { namespace: wanted.namespace, workload: null, service: wanted.name, port };
  return { namespace: workload.namespace, workload: null, service: null, port };
}
