import type { FlowReason } from '@sallyport/shared/mesh';
import type { HboneClient } from '../hbone/client.ts';
import { EndpointPools } from '../http/pool.ts';
import type { Endpoint } from '../http/route.ts';
import type { Link } from '../link/link.ts';
import { DialError } from '../listener/dial.ts';
import { dialEndpoint } from '../listener/dial-endpoint.ts';
import { type OutboundHandler, outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { OpenCalls } from './open-calls.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };
const MAX_AGE_MS = 3_600_000;

interface Reached {
  readonly link: Link;
  readonly endpoint: Endpoint;
}

/** Takes a workload's TCP connections to the one service that the listener names. */
export class OutboundTcp implements OutboundHandler {
  readonly #target: () => OutboundTarget;
  readonly #recorder: Recorder;
  readonly #open: OpenCalls;
  readonly #turns = new EndpointPools(1, (error) => this.#recorder.defect(error));
  readonly #tunnels: HboneClient;

  constructor(target: () => OutboundTarget, recorder: Recorder, tunnels: HboneClient) {
    this.#tunnels = tunnels;
    this.#target = target;
    this.#recorder = recorder;
    this.#open = new OpenCalls(recorder);
  }

  accept(link: Link): void {
    this.#serve(link).catch((error: unknown) => {
      link.destroy();
      this.#recorder.defect(error);
    });
  }

  refresh(): void {
    // Connections are made one by one; the next one already goes by the new target.
  }

  close(grace: number): Promise<void> {
    return this.#open.close(grace);
  }

  async #serve(client: Link): Promise<void> {
    const target = this.#target();
    const { spec, snapshot } = target;
    if (spec.protocol !== 'tcp') return client.destroy();
    const destination = { namespace: spec.namespace, workload: null, service: spec.service, port: spec.port };
    const service = snapshot.services.get(`${spec.namespace}/${spec.service}`);
    const port = service?.ports.find((candidate) => candidate.port === spec.port);
    if (!port) return this.#fail(client, outboundFacts(target, destination, null), 'unknown-destination', 'the service or its port is not known');
    const first = this.#turns.choose(port.endpoints, target.credentials, null);
    if (!first) return this.#fail(client, outboundFacts(target, destination, null), 'upstream-unreachable', 'the service has no endpoint');
    try {
      const { link, endpoint } = await this.#reach(port.endpoints, first, target);
      if (client.destroyed) return link.destroy();
      const facts = outboundFacts(target, destination, endpoint);
      this.#recorder.record({ facts, amounts: ONE, traceId: null });
      this.#open.join(client, link, facts, Date.now() + MAX_AGE_MS * (0.9 + Math.random() * 0.2), () => Promise.resolve(true));
    } catch (error) {
      const reason = error instanceof DialError ? error.reason : 'upstream-unreachable';
      const facts: FlowFacts = { ...outboundFacts(target, destination, first), mtls: first.spiffeId === null ? 'plaintext' : 'unknown' };
      this.#fail(client, facts, reason, (error as Error).message);
    }
  }

  async #reach(endpoints: readonly Endpoint[], first: Endpoint, { credentials }: OutboundTarget): Promise<Reached> {
    try {
      return { link: await dialEndpoint(first, credentials, this.#tunnels, true), endpoint: first };
    } catch (error) {
      const second = this.#turns.choose(endpoints, credentials, first);
      if (!second) throw error;
      return { link: await dialEndpoint(second, credentials, this.#tunnels, true), endpoint: second };
    }
  }

  #fail(client: Link, facts: FlowFacts, reason: FlowReason, message: string): void {
    this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason }, amounts: ONE, traceId: null });
    this.#recorder.unreachable(facts, message);
    client.destroy();
  }
}
