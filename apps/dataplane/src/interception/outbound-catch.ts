import type { Socket } from 'node:net';
import { decidedAs } from '@sallyport/shared/mesh';
import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import { SocketLink } from '../link/socket-link.ts';
import type { InetAddress } from '../listener/address.ts';
import { OutboundPort, type OutboundPortOptions, type OutboundTarget } from '../listener/outbound-port.ts';
import { meantBy } from './destinations.ts';
import { Passthrough } from './passthrough.ts';

/** Whose connections are redirected, and what they can reach. */
export interface Caught {
  readonly workload: ServedWorkload;
  readonly credentials: Credentials;
  readonly snapshot: Snapshot;
}

/** Takes what the workload itself connects to, by the address that it asked for. */
export class OutboundCatch {
  readonly #ports: { readonly http: OutboundPort; readonly tcp: OutboundPort };
  readonly #pass: Passthrough;
  #caught: Caught;

  constructor(address: InetAddress, caught: Caught, options: OutboundPortOptions) {
    this.#caught = caught;
    this.#ports = { http: new OutboundPort(address, targetOf(caught, 'http'), options), tcp: new OutboundPort(address, targetOf(caught, 'tcp'), options) };
    this.#pass = new Passthrough(options.recorder);
  }

  accept(socket: Socket, to: InetAddress): void {
    const link = new SocketLink(socket);
    const meant = () => meantBy(this.#caught.snapshot, to);
    const first = meant();
    if (first !== null) return this.#ports[isHttp(first.port.protocol) ? 'http' : 'tcp'].accept(link, meant);
    const mayPass = () => passes(this.#caught) && meant() === null;
    const target = targetOf(this.#caught, 'tcp');
    if (!mayPass()) return this.#pass.refuse(link, to.port, target);
    this.#pass.accept(link, to, target, mayPass);
  }

  /** Closes a connection that was not redirected, or that the rules should have left alone. */
  refuse(socket: Socket, port: number): void {
    this.#pass.refuse(new SocketLink(socket), port, targetOf(this.#caught, 'tcp'));
  }

  update(caught: Caught): void {
    this.#caught = caught;
    this.#ports.http.update(targetOf(caught, 'http'));
    this.#ports.tcp.update(targetOf(caught, 'tcp'));
    this.#pass.recheck();
  }

  async close(grace: number): Promise<void> {
    await Promise.all([this.#ports.http.close(grace), this.#ports.tcp.close(grace), this.#pass.close(grace)]);
  }
}

function passes({ workload, snapshot }: Caught): boolean {
  return (workload.spec.interception?.unknownDestinations ?? snapshot.mesh.egress.unknownDestinations) === 'Pass';
}

/** Bytes of an `auto` port go as they are: the proxy at the other end tells what they are. */
function isHttp(protocol: Parameters<typeof decidedAs>[0]): boolean {
  return protocol !== 'auto' && decidedAs(protocol)[0] === 'http';
}

function targetOf({ workload, credentials, snapshot }: Caught, protocol: 'http' | 'tcp'): OutboundTarget {
  return { workload, credentials, snapshot, spec: { protocol, redirected: true } };
}
