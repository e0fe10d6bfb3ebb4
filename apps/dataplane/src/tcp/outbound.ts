import type { FlowReason } from '@sallyport/shared/mesh';
import type { HboneClient } from '../hbone/client.ts';
import type { Endpoint } from '../http/route.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Link } from '../link/link.ts';
import { DialError } from '../listener/dial.ts';
import { dialEndpoint } from '../listener/dial-endpoint.ts';
import { type AskMeant, type Meant, type OutboundHandler, outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import { retirement } from '../listener/retirement.ts';
import type { ConnectionSpan } from '../telemetry/connection-span.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { CallPlan } from '../traffic/call-plan.ts';
import { TrafficPlans } from '../traffic/plans.ts';
import { OpenCalls } from './open-calls.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };

/** A connection to an endpoint, or why there is none. */
type Reached = { readonly link: Link; readonly endpoint: Endpoint } | { readonly link: null; readonly endpoint: Endpoint | null; readonly reason: FlowReason; readonly message: string };

/** A connection with its plan. */
interface Planned {
  readonly client: Link;
  readonly call: CallPlan;
  readonly credentials: Credentials;
  readonly facts: (endpoint: Endpoint | null) => FlowFacts;
  readonly span: ConnectionSpan;
  /** To be called once, when it is over. */
  readonly ended: () => void;
}

/** Takes a workload's TCP connections to the one service that the listener names. */
export class OutboundTcp implements OutboundHandler {
  readonly #target: () => OutboundTarget;
  readonly #recorder: Recorder;
  readonly #open: OpenCalls;
  readonly #plans = new TrafficPlans(Math.random);
  readonly #tunnels: HboneClient;

  constructor(target: () => OutboundTarget, recorder: Recorder, tunnels: HboneClient) {
    this.#tunnels = tunnels;
    this.#target = target;
    this.#recorder = recorder;
    this.#open = new OpenCalls(recorder);
  }

  accept(link: Link, meant?: AskMeant): void {
    this.#serve(link, meant).catch((error: unknown) => {
      link.destroy();
      this.#recorder.defect(error);
    });
  }

  refresh(): void {
    this.#plans.refresh(this.#target());
  }

  close(grace: number): Promise<void> {
    return this.#open.close(grace);
  }

  async #serve(client: Link, ask: AskMeant | undefined): Promise<void> {
    const target = this.#target();
    const { destination, meant } = ask ? asked(ask(), target) : declared(target);
    const span = this.#recorder.connectionSpan();
    if (!meant) return this.#fail(client, span, outboundFacts(target, destination, null), 'unknown-destination', 'the service or its port is not known');
    const plan = this.#plans.meant(meant, target);
    const place = plan.connections.enter(() => undefined);
    // Bytes of TCP cannot be told to come again.
    if (!place || place.waiting) {
      place?.leave();
      return this.#fail(client, span, outboundFacts(target, destination, null), 'overloaded', `${plan.rules.breaker.connections} connections are open, the most that the traffic policy allows`);
    }
    const call = plan.begin(null, performance.now());
    const { backend } = call;
    const to = backend?.port && meant.endpoint === null ? { ...destination, service: backend.service, port: backend.port.port } : destination;
    await this.#carry({
      client, call, span, credentials: target.credentials,
      facts: (endpoint) => outboundFacts(target, to, endpoint),
      ended: () => {
        call.finish();
        place.leave();
      },
    });
  }

  async #carry({ client, call, credentials, facts, span, ended }: Planned): Promise<void> {
    const reached = await this.#reach(call, credentials);
    const { link, endpoint } = reached;
    if (link !== null && !client.destroyed) {
      const retireAt = retirement();
      this.#recorder.record({ facts: facts(endpoint), amounts: ONE, ...span.begun });
      return this.#open.join(client, link, { facts: facts(endpoint), retireAt, allowed: () => Promise.resolve(true), ended, ...span.endsAt(endpoint.address) });
    }
    ended();
    if (link !== null) return link.destroy();
    this.#fail(client, span, { ...facts(endpoint), mtls: endpoint?.spiffeId === null ? 'plaintext' : 'unknown' }, reached.reason, reached.message);
  }

  /** Connects to an endpoint and, when it cannot be reached, as far as the plan says to others. */
  async #reach(call: CallPlan, credentials: Credentials): Promise<Reached> {
    for (;;) {
      const endpoint = call.choose(performance.now());
      if (!endpoint) return { link: null, endpoint, reason: 'upstream-unreachable', message: 'the service has no endpoint' };
      try {
        const link = await dialEndpoint(endpoint, credentials, this.#tunnels, true);
        call.ended('connected', false, performance.now());
        return { link, endpoint };
      } catch (error) {
        const reason = error instanceof DialError ? error.reason : 'upstream-unreachable';
        if (call.ended('refused', true, performance.now()) === null) return { link: null, endpoint, reason, message: (error as Error).message };
      }
    }
  }

  #fail(client: Link, span: ConnectionSpan, facts: FlowFacts, reason: FlowReason, message: string): void {
    this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason }, amounts: ONE, ...span.whole });
    this.#recorder.unreachable(facts, message);
    client.destroy();
  }
}

/** Where a connection goes, as flows name it; `meant` is null when there is no such place. */
interface Asked {
  readonly destination: FlowFacts['destination'];
  readonly meant: Meant | null;
}

function asked(meant: Meant | null, { workload }: Pick<OutboundTarget, 'workload'>): Asked {
  return { destination: meant?.destination ?? { namespace: workload.namespace, workload: null, service: null, port: 0 }, meant };
}

/** The service that the listener names. */
function declared({ spec, snapshot, workload }: OutboundTarget): Asked {
  if (!('service' in spec)) return asked(null, { workload });
  const destination = { namespace: spec.namespace, workload: null, service: spec.service, port: spec.port };
  const service = snapshot.services.get(`${spec.namespace}/${spec.service}`);
  const port = service?.ports.find((candidate) => candidate.port === spec.port);
  return { destination, meant: service && port ? { called: service, destination, port, endpoint: null } : null };
}
