import { createPrivateKey } from 'node:crypto';
import { pino } from 'pino';
import type { ServedWorkload } from '../authz/snapshot.ts';
import { type TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { freePort } from '../../test/mesh.ts';
import { testRecorder } from '../../test/recorder.ts';
import { Credentials } from '../identity/credentials.ts';
import { TrustBundle } from '../identity/trust.ts';
import type { LinkUser } from '../link/link.ts';
import { LIMITS } from '../listener/limits.ts';
import type { PeerConnection } from '../listener/inbound-port.ts';
import { HboneServer, type TunnelledPort } from './server.ts';

/** What the tests' server takes streams for. */
export const AUTHORITY = { address: '127.0.0.7', port: 8080 };
export const SERVER = workloadUri('pay', 'db');
export const CLIENT = workloadUri('shop', 'web');

/** Credentials as a renewal would have installed them. */
export function credentialsOf(ca: TestCa, spiffeId: string): Credentials {
  const bundle = new TrustBundle(TRUST_DOMAIN);
  bundle.replace([ca.root]);
  const held = new Credentials(spiffeId, bundle);
  renew(held, ca);
  return held;
}

export function renew(held: Credentials, ca: TestCa): void {
  const { key, cert } = ca.leaf(held.spiffeId);
  held.install({ spiffeId: held.spiffeId, serial: '1', notBefore: 0, notAfter: Date.now() + 60_000, renewAt: 0, chain: [cert], privateKey: createPrivateKey(key) });
}

export interface TestServer {
  readonly server: HboneServer;
  readonly port: number;
  readonly logs: Record<string, unknown>[];
}

/** An HBONE server at a port of its own; `accept` gets the streams to {@link AUTHORITY}. */
export async function startServer(ca: TestCa, accept: (connection: PeerConnection) => void): Promise<TestServer> {
  const logs: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void logs.push(JSON.parse(line) as Record<string, unknown>) });
  const recorder = testRecorder(log);
  const plaintextOnly: TunnelledPort = { takesVerified: false, accept };
  const ports = new Map<string, TunnelledPort>([['127.0.0.7:8080', { takesVerified: true, accept }], ['127.0.0.7:9090', plaintextOnly]]);
  const workload = { namespace: 'pay', name: 'db', serviceByPort: new Map<number, string>() } as unknown as ServedWorkload;
  const port = await freePort();
  const server = new HboneServer({ host: AUTHORITY.address, port }, { workload, credentials: credentialsOf(ca, SERVER), ports }, { recorder, limits: LIMITS });
  await server.server.listen();
  server.server.open();
  return { server, port, logs };
}

/** Takes what comes, and gives it back when asked to. */
export class Collector implements LinkUser {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ended = false;
  drains = 0;
  closed: { readonly error: Error | null } | null = null;
  onChunk: (chunk: Buffer) => void = () => undefined;

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes < 100_000) this.chunks.push(chunk);
    this.onChunk(chunk);
  }

  onEnd(): void {
    this.ended = true;
  }

  onDrain(): void {
    this.drains += 1;
  }

  onClose(error: Error | null): void {
    if (this.closed) throw new Error('closed twice');
    this.closed = { error };
  }
}
