import { networkInterfaces } from 'node:os';
import type { Socket } from 'node:net';
import { HBONE_PORT } from '@sallyport/shared/resources';
import type { InetAddress } from '../listener/address.ts';
import { GatedServer } from '../listener/gated-server.ts';
import { inboundFacts, type InboundPort, type InboundPortOptions } from '../listener/inbound-port.ts';
import type { OutboundPortOptions } from '../listener/outbound-port.ts';
import { plainIp } from '../listener/tls-peers.ts';
import type { ReadSocketOption } from '../native/sockopt.ts';
import type { Log } from '../telemetry/log.ts';
import { originalDestination } from './original-destination.ts';
import { type Caught, OutboundCatch } from './outbound-catch.ts';
import { RulesWatch, type Side } from './rules-watch.ts';
import { UndeclaredPorts } from './undeclared-ports.ts';

export interface InterceptorOptions extends InboundPortOptions, OutboundPortOptions {
  readonly log: Log;
}

/** What an interceptor serves at present. Replaced as a whole by each configuration. */
export interface Intercepted extends Caught {
  /** The port that the workload's resource names, by its number. */
  readonly declared: (port: number) => InboundPort | undefined;
}

/** Ports to which the rules lead. */
export interface CatchPorts {
  readonly inbound: number;
  readonly outbound: number;
}

/** Serves the connections of one workload that rules in its network namespace lead here: those of peers, and its own. */
export class Interceptor {
  readonly ports: CatchPorts;
  readonly #options: InterceptorOptions;
  readonly #read: ReadSocketOption;
  readonly #hosts = loopbacks();
  readonly #servers: readonly GatedServer[];
  readonly #watch: RulesWatch;
  readonly #outbound: OutboundCatch;
  readonly #undeclared: UndeclaredPorts;
  #now: Intercepted;

  constructor(ports: CatchPorts, now: Intercepted, read: ReadSocketOption, options: InterceptorOptions) {
    this.ports = ports;
    this.#now = now;
    this.#read = read;
    this.#options = options;
    const hosts = this.#hosts;
    this.#watch = new RulesWatch(hosts, options.log, () => this.#breakOff());
    this.#outbound = new OutboundCatch({ host: '127.0.0.1', port: ports.outbound }, now, options);
    this.#undeclared = new UndeclaredPorts(now, options);
    // Peers' connections are redirected to the address of the interface; the workload's own to loopback, where nobody else can reach us.
    const anywhere = hosts.length > 1 ? '::' : '0.0.0.0';
    this.#servers = [
      this.#server({ host: anywhere, port: ports.inbound }, 'inbound', (socket, to) => this.#fromPeer(socket, to)),
      ...hosts.map((host) => this.#server({ host, port: ports.outbound }, 'outbound', (socket, to) => this.#outbound.accept(socket, to))),
    ];
  }

  /** Whether the rules are in place; null before that is known. */
  get intact(): boolean | null {
    return this.#watch.intact;
  }

  /** Binds. @throws Error naming the address; then nothing is left bound */
  async listen(): Promise<void> {
    try {
      for (const server of this.#servers) await server.listen();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Serves what waits and what comes, and begins to look after the rules. */
  open(): void {
    for (const server of this.#servers) server.open();
    this.#watch.start();
  }

  update(now: Intercepted): void {
    this.#now = now;
    this.#outbound.update(now);
    this.#undeclared.update(now);
  }

  /** Stops accepting. */
  stop(): void {
    this.#watch.stop();
    for (const server of this.#servers) server.stop();
  }

  /** After {@link stop}: finishes what is in flight within `grace` ms, then breaks the rest. */
  async close(grace: number): Promise<void> {
    await Promise.all([this.#outbound.close(grace), this.#undeclared.close(grace)]);
    for (const server of this.#servers) server.destroy();
  }

  #server(address: InetAddress, side: Side, serve: (socket: Socket, to: InetAddress) => void): GatedServer {
    const { limits, recorder } = this.#options;
    // The workload itself has no others to keep room for; and one that calls many has many connections.
    const connectionsOfPeer = side === 'inbound' ? limits.connectionsOfPeer : limits.connections;
    return new GatedServer(address, { connections: limits.connections, connectionsOfPeer, refused: (limit) => recorder.connectionRefused(limit) }, (socket) => {
      const to = originalDestination(socket, this.#read);
      if (to !== null && this.#watch.isProbe(side, to, socket)) return;
      // Connected to us, or to what the rules leave alone: whoever does that must not be led on, perhaps to us again.
      if (to === null || this.#isOwn(side, to)) return this.#refuse(side, socket);
      serve(socket, to);
    });
  }

  #isOwn(side: Side, { host, port }: InetAddress): boolean {
    if (side === 'outbound') return this.#hosts.includes(host);
    const { hbonePort = HBONE_PORT } = this.#now.workload.spec;
    return port === this.ports.inbound || port === hbonePort;
  }

  #fromPeer(socket: Socket, to: InetAddress): void {
    const known = this.#watch.settled();
    if (typeof known === 'boolean') return this.#admit(socket, to, known);
    void known.then((intact) => this.#admit(socket, to, intact));
  }

  #admit(socket: Socket, to: InetAddress, intact: boolean): void {
    if (socket.destroyed) return;
    const declared = this.#now.declared(to.port);
    if (!intact) return this.#refuse('inbound', socket, to.port);
    if (declared) return declared.take(socket, to.host);
    if (!this.#undeclared.take(socket, to)) this.#refuse('inbound', socket, to.port);
  }

  /** Peers must notice: what still comes to us is part of what comes, and the rest goes past us. */
  #breakOff(): void {
    for (const { port } of this.#now.workload.spec.inbound) this.#now.declared(port)?.breakOff();
    this.#undeclared.breakOff();
  }

  #refuse(side: Side, socket: Socket, port = this.ports[side]): void {
    if (side === 'outbound') return this.#outbound.refuse(socket, port);
    const { workload } = this.#now;
    const facts = inboundFacts({ workload, port, protocol: 'tcp' }, null, plainIp(socket.remoteAddress));
    this.#options.recorder.record({ facts: { ...facts, mtls: 'unknown', verdict: 'failed', reason: 'no-config' }, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
    socket.resetAndDestroy();
  }
}

/** Loopback of each family that this network namespace has. */
function loopbacks(): string[] {
  const has = (address: string) => Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
  return ['127.0.0.1', ...(has('::1') ? ['::1'] : [])];
}
