import type { TLSSocket } from 'node:tls';
import type { ServedWorkload } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import { SocketLink } from '../link/socket-link.ts';
import type { InetAddress } from '../listener/address.ts';
import { GatedServer } from '../listener/gated-server.ts';
import { inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import { type LimitName, type Limits, Shares } from '../listener/limits.ts';
import { retirement } from '../listener/retirement.ts';
import { plainIp, TlsPeers } from '../listener/tls-peers.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { field, type MessageHead } from '../wire/index.ts';
import { HboneStream } from './stream.ts';
import { type StreamOwner, Tunnel, type TunnelStream } from './tunnel.ts';

const OK = [field(':status', '200')];

/** A port of the workload, where streams go. */
export interface TunnelledPort {
  readonly takesVerified: boolean;
  accept(connection: PeerConnection): void;
}

/** What is served at present. Replaced as a whole by each configuration. */
export interface HboneTarget {
  readonly workload: ServedWorkload;
  readonly credentials: Credentials;
  /** By the authority that asks for it, `address:port`. */
  readonly ports: ReadonlyMap<string, TunnelledPort>;
}

export interface HboneServerOptions {
  readonly recorder: Recorder;
  readonly limits: Limits;
}

/** Where other proxies reach a workload by HBONE: mutual TLS only, and each stream leads to one of its ports. */
export class HboneServer {
  readonly server: GatedServer;
  readonly #port: number;
  readonly #peers: TlsPeers;
  readonly #tunnels = new Set<Tunnel>();
  readonly #recorder: Recorder;
  readonly #limits: Limits;
  readonly #connectionShares: Shares;
  readonly #streamShares: Shares;
  #target: HboneTarget;
  #streams = 0;

  constructor(address: InetAddress, target: HboneTarget, { recorder, limits }: HboneServerOptions) {
    this.#port = address.port;
    this.#target = target;
    this.#recorder = recorder;
    this.#limits = limits;
    this.#connectionShares = new Shares(limits.connectionsOfPeer);
    this.#streamShares = new Shares(limits.streamsOfPeer);
    this.#peers = new TlsPeers(target.credentials, {
      handshake: limits.handshake,
      alpn: ['h2'],
      verified: (socket, principal, ip) => this.#serve(socket, principal, ip),
      refused: (ip, reason) => this.#refused(ip, reason),
    });
    // Bytes that are no TLS end in a failed handshake: there is no mode in which this port takes plaintext.
    this.server = new GatedServer(address, { ...limits, refused: (limit) => recorder.connectionRefused(limit) }, (raw) => {
      if (!this.#peers.secure(raw)) raw.destroy();
    });
  }

  /** Connections and streams that are open now. */
  get open(): { readonly connections: number; readonly streams: number } {
    return { connections: this.#tunnels.size, streams: this.#streams };
  }

  update(target: HboneTarget): void {
    if (target.credentials !== this.#target.credentials) {
      this.#peers.follow(target.credentials);
      // Another identity of ours: who connected meant the one before.
      for (const tunnel of this.#tunnels) tunnel.retire();
    }
    this.#target = target;
  }

  /** Stops accepting and says goodbye. Resolves when every peer has heard it: then it sends nothing new. */
  async retire(): Promise<void> {
    this.server.stop();
    this.#peers.stop();
    for (const tunnel of this.#tunnels) tunnel.retire();
    await Promise.all([...this.#tunnels].map((tunnel) => tunnel.heard()));
  }

  /** After {@link retire}: lets streams finish within `grace` ms, then breaks the rest. */
  async close(grace: number): Promise<void> {
    const end = Date.now() + grace;
    while (this.#tunnels.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const tunnel of this.#tunnels) tunnel.destroy();
    this.server.destroy();
  }

  #serve(socket: TLSSocket, principal: string, ip: string): void {
    if (!this.#connectionShares.take(principal)) {
      this.#recorder.connectionRefused('identity');
      return void socket.destroy();
    }
    const peer = { principal, ip, localIp: plainIp(socket.localAddress), retireAt: retirement() };
    const tunnel: Tunnel = new Tunnel(new SocketLink(socket), 'server', { retireAt: peer.retireAt, idle: Number.POSITIVE_INFINITY }, {
      onStream: (stream, head) => this.#connect(tunnel, stream, head, peer),
      onClosed: () => {
        this.#tunnels.delete(tunnel);
        this.#connectionShares.give(principal);
      },
    });
    this.#tunnels.add(tunnel);
  }

  /**
   * One CONNECT: its owner when it leads somewhere. Headers say nothing here: who calls is who holds the certificate,
   * whatever `forwarded` or `baggage` claim.
   */
  #connect(tunnel: Tunnel, stream: TunnelStream, head: MessageHead, peer: Omit<PeerConnection, 'link'> & { readonly principal: string }): StreamOwner | null {
    // RFC 9110 §9.3.6: a tunnel is a CONNECT; one with :protocol (RFC 8441) is another thing.
    if (head.method !== 'CONNECT' || head.protocol !== '') return refuse(tunnel, stream, 405);
    const port = this.#target.ports.get(head.authority);
    if (!port) return refuse(tunnel, stream, 404);
    if (!port.takesVerified) return refuse(tunnel, stream, 403);
    const limit = this.#admit(peer.principal);
    if (limit !== null) {
      this.#recorder.connectionRefused(limit);
      return refuse(tunnel, stream, 503);
    }
    const link = new HboneStream(tunnel, stream, () => {
      this.#streams -= 1;
      this.#streamShares.give(peer.principal);
    });
    stream.owner = link;
    tunnel.connection.respond(stream, OK, false);
    port.accept({ ...peer, link });
    return link;
  }

  /** Takes room for a stream; else says what there is too much of. */
  #admit(principal: string): LimitName | null {
    if (this.#streams >= this.#limits.streams) return 'streams';
    if (!this.#streamShares.take(principal)) return 'streams-of-identity';
    this.#streams += 1;
    return null;
  }

  #refused(ip: string, reason: string): void {
    const { workload } = this.#target;
    const base = inboundFacts({ workload, port: this.#port, protocol: 'tcp' }, null, ip);
    this.#recorder.handshakeRefused({ ...base, mtls: 'unknown', verdict: 'failed', reason: 'peer-not-verified' }, reason);
  }
}

function refuse(tunnel: Tunnel, stream: TunnelStream, status: number): null {
  tunnel.connection.refuse(stream, [field(':status', String(status))]);
  return null;
}
