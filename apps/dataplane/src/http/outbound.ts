import type { Snapshot } from '../authz/snapshot.ts';
import type { HboneClient } from '../hbone/client.ts';
import type { Link } from '../link/link.ts';
import { type AskMeant, type Meant, type OutboundHandler, outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { ServicePlan } from '../traffic/plan.ts';
import { TrafficPlans } from '../traffic/plans.ts';
import { ConnectionGate } from './connection-gate.ts';
import type { Downstream } from './exchange.ts';
import { HttpServer } from './http-server.ts';
import { callFacts, OutboundCall, type OutboundService, type Route } from './outbound-call.ts';
import { refuse } from './own-response.ts';
import { EndpointPools } from './pool.ts';
import { httpPort, type HttpVersion, readHost, type RequestedService } from './route.ts';

/** Hosts whose routes are remembered: bounded against callers that never ask for the same one twice. */
const MAX_ROUTES = 1_024;

type Pools = Readonly<Record<HttpVersion, EndpointPools>>;

/** Takes a workload's HTTP calls and carries them to the service that `Host` names, under the workload's identity. */
export class OutboundHttp implements OutboundHandler, OutboundService {
  readonly recorder: Recorder;
  readonly #pools: Pools;
  /** Those of services whose connections are limited. */
  readonly #gated = new Map<ServicePlan, Pools>();
  readonly #tunnels: HboneClient;
  readonly #plans = new TrafficPlans(Math.random);
  readonly switched: OpenCalls;
  readonly #target: () => OutboundTarget;
  readonly #server = new HttpServer();
  readonly #routes = new Map<string, Route>();
  #routesOf: Snapshot | null = null;

  constructor(target: () => OutboundTarget, recorder: Recorder, tunnels: HboneClient) {
    this.#target = target;
    this.recorder = recorder;
    this.#tunnels = tunnels;
    this.#pools = this.#createPools(null);
    this.switched = new OpenCalls(recorder);
  }

  get closing(): boolean {
    return this.#server.closing;
  }

  pools(version: HttpVersion, plan: ServicePlan | null): EndpointPools {
    if (plan === null || !plan.connections.limited) return this.#pools[version];
    const known = this.#gated.get(plan);
    if (known !== undefined) return known[version];
    const pools = this.#createPools(new ConnectionGate(plan.connections));
    this.#gated.set(plan, pools);
    return pools[version];
  }

  #createPools(gate: ConnectionGate | null): Pools {
    const create = (version: HttpVersion) => new EndpointPools(version, this.#tunnels, (error) => this.recorder.defect(error), gate);
    return { 1: create(1), 2: create(2) };
  }

  accept(link: Link, meant?: AskMeant): void {
    this.#server.accept(link, {
      call: (call) => this.#handle(call, meant),
      malformed: () => this.#malformed(),
      defect: (error) => this.recorder.defect(error),
    });
  }

  refresh(): void {
    const target = this.#target();
    const { snapshot, credentials } = target;
    this.#plans.refresh(target);
    const endpoints = [...snapshot.services.values()].flatMap((service) => service.ports.flatMap((port) => port.endpoints));
    for (const [plan, pools] of this.#gated) {
      if (plan.connections.limited && this.#plans.has(plan)) continue;
      for (const each of Object.values(pools)) each.retire();
      this.#gated.delete(plan);
    }
    for (const pools of this.#allPools()) pools.keep(endpoints, credentials);
  }

  async close(grace: number): Promise<void> {
    await Promise.all([this.#server.close(grace), this.switched.close(grace)]);
    for (const pools of this.#allPools()) pools.retire();
  }

  #allPools(): EndpointPools[] {
    return [this.#pools, ...this.#gated.values()].flatMap((pools) => Object.values(pools));
  }

  #handle(call: Downstream, meant: AskMeant | undefined): void {
    const target = this.#target();
    const { host } = call.request;
    const route = meant ? this.#routeBy(meant(), target) : this.#routeTo(host, target);
    if (route !== null) return new OutboundCall(this, target, call, route).carry();
    const facts = callFacts(call.request, target, unknownDestination(target, readHost(host, target.workload.namespace)), null);
    const trace = this.recorder.tracer.begin(call.request.header('traceparent'));
    this.recorder.record({ facts: { ...facts, verdict: 'failed', reason: 'unknown-destination' }, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, trace, startedAt: performance.now(), status: 502 });
    refuse(call, 502, 'unknown-destination', `no service of the mesh is called ${JSON.stringify(host.slice(0, 100))}`, this.closing);
  }

  #routeTo(host: string, target: OutboundTarget): Route | null {
    if (this.#routesOf !== target.snapshot || this.#routes.size >= MAX_ROUTES) this.#routes.clear();
    this.#routesOf = target.snapshot;
    const known = this.#routes.get(host);
    if (known !== undefined) return known;
    const route = this.#findRoute(host, target);
    if (route !== null) this.#routes.set(host, route);
    return route;
  }

  /** A redirected call goes where its connection went, whatever host it names. */
  #routeBy(meant: Meant | null, target: OutboundTarget): Route | null {
    return meant && { destination: meant.destination, plan: this.#plans.meant(meant, target) };
  }

  #findRoute(host: string, target: OutboundTarget): Route | null {
    const wanted = readHost(host, target.workload.namespace);
    const service = wanted && target.snapshot.services.get(`${wanted.namespace}/${wanted.name}`);
    const port = service && httpPort(service, wanted.port);
    if (!port) return null;
    return { destination: { namespace: wanted.namespace, workload: null, service: wanted.name, port: port.port }, plan: this.#plans.of(wanted, port, target) };
  }

  #malformed(): void {
    const target = this.#target();
    const facts: FlowFacts = { ...outboundFacts(target, unknownDestination(target, null), null), verdict: 'failed', reason: 'bad-request' };
    this.recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
  }
}

/** Only names that the mesh knows are reported: a made-up host must not make up a namespace. */
function unknownDestination({ workload, snapshot }: OutboundTarget, wanted: RequestedService | null): FlowFacts['destination'] {
  const port = wanted?.port ?? 80;
  const known = wanted && snapshot.services.has(`${wanted.namespace}/${wanted.name}`);
  if (wanted && known) return { namespace: wanted.namespace, workload: null, service: wanted.name, port };
  return { namespace: workload.namespace, workload: null, service: null, port };
}
