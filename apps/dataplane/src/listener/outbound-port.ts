import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Endpoint, ServicePort } from '../http/route.ts';
import type { Link } from '../link/link.ts';
import { SocketLink } from '../link/socket-link.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { Address } from './address.ts';
import { GatedServer } from './gated-server.ts';
import type { LimitName, Limits } from './limits.ts';

type OutboundSpec = ServedWorkload['spec']['outbound'][number];

/** Whom a redirected connection is for, by the address that the workload asked for. */
export interface Meant {
  readonly called: { readonly namespace: string; readonly name: string };
  readonly destination: FlowFacts['destination'];
  readonly port: ServicePort;
  /** The endpoint that was asked for; null when any of the port will do. */
  readonly endpoint: Endpoint | null;
}
/** Asked at each call: the configuration may have changed. Null when the mesh does not know the address any more. */
export type AskMeant = () => Meant | null;

/** What an outbound listener serves at present: whose calls enter here, and what they can reach. */
export interface OutboundTarget {
  readonly workload: ServedWorkload;
  /** Of a listener that the workload calls, or of connections that are redirected. */
  readonly spec: OutboundSpec | { readonly protocol: 'http' | 'tcp'; readonly redirected: true };
  readonly credentials: Credentials;
  readonly snapshot: Snapshot;
}

/** Serves the workload's own calls by one protocol. */
export interface OutboundHandler {
  /** @param meant for a redirected connection */
  accept(link: Link, meant?: AskMeant): void;
  /** Lets go of what the present target does not name any more. */
  refresh(): void;
  close(grace: number): Promise<void>;
}

export interface OutboundPortOptions {
  readonly limits: Limits;
  readonly recorder: Recorder;
  readonly createOutbound: (target: () => OutboundTarget) => OutboundHandler;
}

/** One place where a workload's calls enter the proxy. */
export class OutboundPort {
  readonly server: GatedServer;
  readonly #createHandler: (target: () => OutboundTarget) => OutboundHandler;
  #target: OutboundTarget;
  #handler: OutboundHandler;

  constructor(address: Address, target: OutboundTarget, { limits, recorder, createOutbound: createHandler }: OutboundPortOptions) {
    this.#createHandler = createHandler;
    this.#target = target;
    this.#handler = createHandler(() => this.#target);
    // Whoever calls here is the workload itself: there are no others to keep room for.
    const admission = { connections: limits.connections, connectionsOfPeer: limits.connections, refused: (limit: LimitName) => recorder.connectionRefused(limit) };
    this.server = new GatedServer(address, admission, (socket) => this.#handler.accept(new SocketLink(socket)));
  }

  /** Takes a connection that was redirected. */
  accept(link: Link, meant: AskMeant): void {
    this.#handler.accept(link, meant);
  }

  update(target: OutboundTarget): void {
    const before = this.#target;
    this.#target = target;
    if (target.spec.protocol !== before.spec.protocol || target.credentials !== before.credentials) {
      // Another protocol or another identity: nothing that is open may be used for it.
      void this.#handler.close(0);
      this.#handler = this.#createHandler(() => this.#target);
    }
    this.#handler.refresh();
  }

  /** Stops accepting, finishes what is in flight within `grace` ms, then breaks the rest. */
  async close(grace: number): Promise<void> {
    this.server.stop();
    await this.#handler.close(grace);
    this.server.destroy();
  }
}

/** Facts of a call by the workload, as allowed and without HTTP parts: callers overwrite what differs. */
export function outboundFacts({ workload, spec }: OutboundTarget, destination: FlowFacts['destination'], endpoint: Endpoint | null): FlowFacts {
  return {
    side: 'outbound',
    source: { principal: workload.spiffeId, ip: workload.spec.address },
    destination: endpoint ? { ...destination, workload: endpoint.workload, port: endpoint.port } : destination,
    protocol: spec.protocol,
    method: null,
    path: null,
    mtls: endpoint === null ? 'unknown' : endpoint.spiffeId === null ? 'plaintext' : 'mutual',
    verdict: 'allowed',
    reason: null,
    policy: null,
  };
}
