import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { FlowReason, FlowVerdict, MtlsState } from '@sallyport/shared/mesh';
import { type EffectiveMtls, effectiveMtls } from '@sallyport/shared/policy';
import type { ServedWorkload } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import { chainProblem, workloadIdentity } from '../identity/peer.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { Address } from './address.ts';
import { GatedServer } from './gated-server.ts';
import { sniff } from './sniff.ts';

const SNIFF_MS = 10_000;
const HANDSHAKE_MS = 10_000;
const MAX_AGE_MS = 3_600_000;

/** What an inbound port serves at present. Replaced as a whole by each configuration. */
export interface InboundTarget {
  readonly workload: ServedWorkload;
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  /** Where the application listens. */
  readonly app: Address;
  readonly credentials: Credentials;
}

/** An accepted connection whose peer is established: verified, or plaintext where that is allowed. */
export interface PeerConnection {
  readonly socket: Socket;
  /** Verified SPIFFE ID; null for plaintext. */
  readonly principal: string | null;
  readonly ip: string;
  readonly localIp: string;
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
  readonly trustDomain: string;
  readonly recorder: Recorder;
  readonly createHandler: (target: () => InboundTarget) => InboundHandler;
}

/** One `address:port` of a workload: tells TLS from plaintext, enforces the mTLS mode, hands over to the protocol. */
export class InboundPort {
  readonly server: GatedServer;
  readonly #options: InboundPortOptions;
  readonly #plaintext = new Set<Socket>();
  #target: InboundTarget;
  #handler: InboundHandler;
  #tls: tls.Server | null = null;
  #unsubscribe: () => void = () => undefined;

  constructor(address: Address, target: InboundTarget, options: InboundPortOptions) {
    this.#options = options;
    this.#target = target;
    this.#handler = options.createHandler(() => this.#target);
    this.server = new GatedServer(address, (socket) => {
      this.#serve(socket).catch((error: unknown) => {
        socket.destroy();
        options.recorder.defect(error);
      });
    });
    this.#follow(target.credentials);
  }

  /** Serves by a new configuration from now on; what it forbids ends at once. */
  update(target: InboundTarget): void {
    const before = this.#target;
    this.#target = target;
    if (target.credentials !== before.credentials) this.#follow(target.credentials);
    if (target.protocol !== before.protocol) {
      void this.#handler.close(0);
      this.#handler = this.#options.createHandler(() => this.#target);
    }
    if (this.#mode().mode === 'STRICT') for (const socket of this.#plaintext) socket.destroy();
    this.#handler.recheck();
  }

  /** Stops accepting, finishes what is in flight within `grace` ms, then breaks the rest. */
  async close(grace: number): Promise<void> {
    this.server.stop();
    this.#unsubscribe();
    await this.#handler.close(grace);
    this.server.destroy();
  }

  #mode(): EffectiveMtls {
    return effectiveMtls(this.#target.workload.policy, this.#target.port);
  }

  async #serve(raw: Socket): Promise<void> {
    const ip = plainIp(raw.remoteAddress);
    // DISABLE takes bytes as they are: a protocol in which the server speaks first would stall at a sniff.
    const first = this.#mode().mode === 'DISABLE' ? 'plaintext' : await sniff(raw, SNIFF_MS);
    // The mode of this moment, not of before the wait.
    const { mode, policy } = this.#mode();
    if (first === 'tls' && mode !== 'DISABLE') return this.#secure(raw, ip);
    const serverMaySpeakFirst = first === 'silent' && this.#target.protocol === 'tcp';
    if (first === 'plaintext' && mode === 'STRICT') {
      this.#count(ip, 'plaintext', 'denied', 'plaintext-refused', policy);
    } else if (first === 'plaintext' || first === 'tls' || (serverMaySpeakFirst && mode !== 'STRICT')) {
      this.#plaintext.add(raw);
      raw.once('close', () => this.#plaintext.delete(raw));
      return this.#hand(raw, null, ip);
    }
    raw.destroy();
  }

  #secure(raw: Socket, ip: string): void {
    const server = this.#tlsServer();
    if (server) {
      server.emit('connection', raw);
      return;
    }
    this.#count(ip, 'unknown', 'failed', 'no-config', null);
    raw.destroy();
  }

  /** Always `tls.Server`: a bare TLSSocket does not enforce client certificates (research/identity-pki.md §3c). */
  #tlsServer(): tls.Server | null {
    if (this.#tls) return this.#tls;
    const options = this.#target.credentials.options();
    if (!options) return null;
    const server = tls.createServer({ ...options, requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS });
    server.on('secureConnection', (socket) => this.#verified(socket));
    server.on('tlsClientError', (error, socket) => this.#refused(socket, error));
    this.#tls = server;
    return server;
  }

  #follow(credentials: Credentials): void {
    this.#unsubscribe();
    const renew = () => {
      const options = credentials.options();
      if (options) this.#tls?.setSecureContext(options);
      else this.#tls = null;
    };
    this.#unsubscribe = credentials.onChange(renew);
    renew();
  }

  #verified(socket: tls.TLSSocket): void {
    socket.on('error', () => undefined);
    const ip = plainIp(socket.remoteAddress);
    try {
      const id = workloadIdentity(socket, this.#target.credentials.trust);
      this.#hand(socket, id.uri, ip);
    } catch (error) {
      socket.destroy();
      this.#options.recorder.handshakeRefused(this.#facts(ip, 'unknown', 'failed', 'peer-not-verified', null), (error as Error).message);
    }
  }

  #refused(socket: tls.TLSSocket, error: NodeJS.ErrnoException): void {
    const reason = refusalReason(socket, error);
    socket.destroy();
    // A peer that went away in the middle proves nothing and was not refused.
    if (reason === null) return;
    this.#options.recorder.handshakeRefused(this.#facts(addressOf(socket), 'unknown', 'failed', 'peer-not-verified', null), reason);
  }

  #hand(socket: Socket, principal: string | null, ip: string): void {
    const retireAt = Date.now() + MAX_AGE_MS * (0.9 + Math.random() * 0.2);
    this.#handler.accept({ socket, principal, ip, localIp: plainIp(socket.localAddress), retireAt });
  }

  #count(ip: string, mtls: MtlsState, verdict: FlowVerdict, reason: FlowReason, policy: string | null): void {
    const facts = this.#facts(ip, mtls, verdict, reason, policy);
    this.#options.recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: null });
  }

  #facts(ip: string, mtls: MtlsState, verdict: FlowVerdict, reason: FlowReason, policy: string | null): FlowFacts {
    return { ...inboundFacts(this.#target, null, ip), mtls, verdict, reason, policy };
  }
}

/** Facts of a call to `target`, as allowed and without HTTP parts: callers overwrite what differs. */
export function inboundFacts({ workload, port, protocol }: InboundTarget, principal: string | null, ip: string): FlowFacts {
  return {
    side: 'inbound',
    source: { principal, ip },
    destination: { namespace: workload.namespace, workload: workload.name, service: workload.serviceByPort.get(port) ?? null, port },
    protocol,
    method: null,
    path: null,
    mtls: principal === null ? 'plaintext' : 'mutual',
    verdict: 'allowed',
    reason: null,
    policy: null,
  };
}

/** Why OpenSSL or Node refused the peer, or null when the peer merely left. */
function refusalReason(socket: tls.TLSSocket, error: NodeJS.ErrnoException): string | null {
  // Node destroys a socket whose chain fails and reports a reset; the reason stays here.
  const verification = socket.authorizationError as Error | string | null;
  if (verification) return chainProblem(verification instanceof Error ? verification.message : verification);
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return null;
  return (error.code ?? error.message).slice(0, 200);
}

/** The peer's address; after the socket was destroyed only the wrapped one remembers it (no public way in Node 24). */
function addressOf(socket: tls.TLSSocket): string {
  const wrapped = (socket as { _parent?: Socket | null })._parent;
  return plainIp(socket.remoteAddress ?? wrapped?.remoteAddress);
}

function plainIp(address: string | undefined): string {
  return (address ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
}
