import type { Socket } from 'node:net';
import { decidedAs, type FlowReason, type FlowVerdict, type MtlsState, type PortProtocol } from '@sallyport/shared/mesh';
import { type EffectiveMtls, effectiveMtls } from '@sallyport/shared/policy';
import type { ServedWorkload } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Link } from '../link/link.ts';
import { SocketLink } from '../link/socket-link.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { Address } from './address.ts';
import { GatedServer } from './gated-server.ts';
import type { Limits } from './limits.ts';
import { retirement } from './retirement.ts';
import { sniff } from './sniff.ts';
import { plainIp, TlsPeers } from './tls-peers.ts';

/** What an inbound port serves at present. Replaced as a whole by each configuration. */
export interface InboundTarget {
  readonly workload: ServedWorkload;
  readonly port: number;
  readonly protocol: PortProtocol;
  /** Where the application listens. */
  readonly app: Address;
  readonly credentials: Credentials;
  /** False while peers may reach the application without us: then nobody is let in. Absent where that cannot be. */
  readonly guarded?: () => boolean;
}

/** An accepted connection whose peer is established: verified, or plaintext where that is allowed. */
export interface PeerConnection {
  /** A socket, or a stream of an HBONE connection. */
  readonly link: Link;
  /** Verified SPIFFE ID; null for plaintext. */
  readonly principal: string | null;
  readonly ip: string;
  readonly localIp: string;
  /** The name that the application's own TLS asks for; absent when there is none. */
  readonly sni?: string;
  /** When it has lived long enough (ms since the epoch): peers are authenticated once, so connections must end. */
  readonly retireAt: number;
}

/** Serves connections by one protocol. */
export interface InboundHandler {
  accept(connection: PeerConnection): void;
  /** Asks the policy again about what is open. */
  recheck(): void;
  /** Finishes what is in flight within `grace` ms. */
  close(grace: number): Promise<void>;
}

export interface InboundPortOptions {
  readonly recorder: Recorder;
  readonly limits: Limits;
  readonly createHandler: (target: () => InboundTarget) => InboundHandler;
}

/** One `address:port` of a workload: tells TLS from plaintext, enforces the mTLS mode, hands over to the protocol. */
export class InboundPort {
  readonly server: GatedServer;
  readonly #options: InboundPortOptions;
  readonly #plaintext = new Set<Socket>();
  /** The address that redirected connections were going to, by their peer. */
  readonly #redirected = new Map<string, string>();
  #target: InboundTarget;
  #handler: InboundHandler;
  readonly #peers: TlsPeers;

  constructor(address: Address, target: InboundTarget, options: InboundPortOptions) {
    this.#options = options;
    this.#target = target;
    this.#handler = options.createHandler(() => this.#target);
    const { limits, recorder } = options;
    this.server = new GatedServer(address, { ...limits, refused: (limit) => recorder.connectionRefused(limit) }, (socket) => {
      this.#serve(socket).catch((error: unknown) => {
        socket.destroy();
        recorder.defect(error);
      });
    });
    this.#peers = new TlsPeers(target.credentials, {
      handshake: limits.handshake,
      alpn: null,
      verified: (socket, principal, ip) => this.#hand(socket, principal, ip),
      refused: (ip, reason) => recorder.handshakeRefused(this.#facts(ip, 'unknown', 'failed', 'peer-not-verified', null), reason),
    });
  }

  /**
   * False for a port that takes plaintext only. There a stream of HBONE is refused like TLS on the port itself: policy must
   * see the same peer however it came, and DISABLE says that it sees none that is verified.
   */
  get takesVerified(): boolean {
    return this.#mode().mode !== 'DISABLE' && this.#target.guarded?.() !== false;
  }

  /** Takes a connection that was redirected, and was going to `localIp`: policy knows it by that. */
  take(raw: Socket, localIp: string): void {
    const peer = peerOf(raw);
    this.#redirected.set(peer, localIp);
    raw.once('close', () => this.#redirected.delete(peer));
    this.server.take(raw);
  }

  /** Takes a stream of an HBONE connection, whose peer is verified. */
  accept(connection: PeerConnection): void {
    this.#handler.accept(connection);
  }

  /** Serves by a new configuration from now on; what it forbids ends at once. */
  update(target: InboundTarget): void {
    const before = this.#target;
    this.#target = target;
    if (target.credentials !== before.credentials) this.#peers.follow(target.credentials);
    if (target.protocol !== before.protocol) this.breakOff();
    if (this.#mode().mode === 'STRICT') for (const socket of this.#plaintext) socket.destroy();
    this.#handler.recheck();
  }

  /** Breaks what is open, however it came. */
  breakOff(): void {
    void this.#handler.close(0);
    this.#handler = this.#options.createHandler(() => this.#target);
  }

  /** Stops accepting, finishes what is in flight within `grace` ms, then breaks the rest. */
  async close(grace: number): Promise<void> {
    this.server.stop();
    this.#peers.stop();
    await this.#handler.close(grace);
    this.server.destroy();
  }

  #mode(): EffectiveMtls {
    return effectiveMtls(this.#target.workload.policy, this.#target.port);
  }

  async #serve(raw: Socket): Promise<void> {
    const ip = plainIp(raw.remoteAddress);
    // DISABLE takes bytes as they are: a protocol in which the server speaks first would stall at a sniff.
    const first = this.#mode().mode === 'DISABLE' ? 'plaintext' : await sniff(raw, this.#options.limits.firstBytes, isOwnTlsExpected(this.#target.protocol));
    // The mode of this moment, not of before the wait.
    const { mode, policy } = this.#mode();
    // Where plaintext is not taken TLS is the mesh's, whatever name it asks for.
    if (first === 'tls-with-name' && mode === 'STRICT') return this.#secure(raw, ip);
    if (first === 'tls' && mode !== 'DISABLE') return this.#secure(raw, ip);
    const serverMaySpeakFirst = first === 'silent' && decidedAs(this.#target.protocol).includes('tcp');
    if (first === 'plaintext' && mode === 'STRICT') {
      this.#count(ip, 'plaintext', 'denied', 'plaintext-refused', policy);
    } else if (first === 'plaintext' || first === 'tls' || first === 'tls-with-name' || (serverMaySpeakFirst && mode !== 'STRICT')) {
      this.#plaintext.add(raw);
      raw.once('close', () => this.#plaintext.delete(raw));
      return this.#hand(raw, null, ip);
    }
    raw.destroy();
  }

  #secure(raw: Socket, ip: string): void {
    if (this.#peers.secure(raw)) return;
    this.#count(ip, 'unknown', 'failed', 'no-config', null);
    raw.destroy();
  }

  #hand(socket: Socket, principal: string | null, ip: string): void {
    this.#handler.accept({ link: new SocketLink(socket), principal, ip, localIp: this.#redirected.get(peerOf(socket)) ?? plainIp(socket.localAddress), retireAt: retirement() });
  }

  #count(ip: string, mtls: MtlsState, verdict: FlowVerdict, reason: FlowReason, policy: string | null): void {
    const facts = this.#facts(ip, mtls, verdict, reason, policy);
    this.#options.recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
  }

  #facts(ip: string, mtls: MtlsState, verdict: FlowVerdict, reason: FlowReason, policy: string | null): FlowFacts {
    return { ...inboundFacts(this.#target, null, ip), mtls, verdict, reason, policy };
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Facts of a call to `target`, as allowed and without HTTP parts: callers overwrite what differs. */
export function inboundFacts({ workload, port, protocol }: Pick<InboundTarget, 'workload' | 'port' | 'protocol'>, principal: string | null, ip: string): FlowFacts {
  return {
    side: 'inbound',
    source: { principal, ip },
    destination: { namespace: workload.namespace, workload: workload.name, service: workload.serviceByPort.get(port) ?? null, port },
    protocol: decidedAs(protocol)[0],
    method: null,
    path: null,
    mtls: principal === null ? 'plaintext' : 'mutual',
    verdict: 'allowed',
    reason: null,
    policy: null,
  };
}

/**
 * On such a port TLS may be the application's own. Peers of the mesh ask for no name (they are known by SPIFFE ID), so
 * whoever asks for one there means the application.
 */
function isOwnTlsExpected(protocol: PortProtocol): boolean {
  return protocol === 'tls' || protocol === 'auto';
}
