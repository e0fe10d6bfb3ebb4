import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { Link } from '../link/link.ts';
import type { InetAddress } from '../listener/address.ts';
import { dialPlaintext } from '../listener/dial.ts';
import { outboundFacts, type OutboundTarget } from '../listener/outbound-port.ts';
import { OpenCalls } from '../tcp/open-calls.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };
/** As long as a timer can be: no peer was verified who should be so again. */
const MAX_AGE_MS = 2 ** 31 - 1;

/** Connections to addresses that the mesh does not know: they go there as they are, or not at all. */
export class Passthrough {
  readonly #recorder: Recorder;
  readonly #open: OpenCalls;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
    this.#open = new OpenCalls(recorder);
  }

  /** @param allowed whether it may still go there, asked again by {@link recheck} */
  accept(client: Link, to: InetAddress, target: OutboundTarget, allowed: () => boolean): void {
    this.#carry(client, to, target, allowed).catch((error: unknown) => {
      client.destroy();
      this.#recorder.defect(error);
    });
  }

  refuse(client: Link, port: number, target: OutboundTarget): void {
    this.#recorder.record({ facts: { ...factsOf(port, target), mtls: 'unknown', verdict: 'denied' }, amounts: ONE });
    client.destroy(true);
  }

  /** Breaks what may not go there any more. */
  recheck(): void {
    this.#open.recheck();
  }

  close(grace: number): Promise<void> {
    return this.#open.close(grace);
  }

  async #carry(client: Link, to: InetAddress, target: OutboundTarget, allowed: () => boolean): Promise<void> {
    const facts = factsOf(to.port, target);
    let link: Link;
    try {
      link = await dialPlaintext(to, true);
    } catch (error) {
      this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason: 'upstream-unreachable' }, amounts: ONE });
      this.#recorder.unreachable(facts, (error as Error).message);
      return client.destroy(true);
    }
    if (client.destroyed || !allowed()) {
      client.destroy();
      return link.destroy();
    }
    this.#recorder.record({ facts, amounts: ONE });
    this.#open.join(client, link, { facts, retireAt: Date.now() + MAX_AGE_MS, allowed: () => Promise.resolve(allowed()) });
  }
}

/** Nobody of the mesh is named: an address is not a name that one could count by. */
function factsOf(port: number, target: OutboundTarget): FlowFacts {
  const destination = { namespace: target.workload.namespace, workload: null, service: null, port };
  return { ...outboundFacts(target, destination, null), protocol: 'tcp', mtls: 'plaintext', reason: 'unknown-destination' };
}
