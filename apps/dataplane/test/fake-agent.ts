import { createPrivateKey } from 'node:crypto';
import net, { type Socket } from 'node:net';
import { encodeX509Svids, fromPem, type X509SvidMessage } from '@sallyport/shared/pki';
import { GrpcError, SERVICE } from '../src/workload-api/grpc.ts';
import { serveGrpc } from '../src/workload-api/grpc-server.ts';
import { requireSecurityHeader } from '../src/workload-api/service.ts';
import type { KeyedCertificate } from './certificates.ts';

type Answer = Buffer | GrpcError;

/** A Workload API that says what it is told to say, over a real socket. */
export class FakeAgent {
  readonly path: string;
  /** How many streams were opened so far. */
  calls = 0;
  #answer: Answer;
  readonly #streams = new Set<(answer: Answer) => void>();
  readonly #sockets = new Set<Socket>();
  #server: net.Server | null = null;

  constructor(path: string, answer: Answer) {
    this.path = path;
    this.#answer = answer;
  }

  async start(): Promise<void> {
    const server = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      const FetchX509SVID = (send: (message: Buffer) => void, fail: (error: unknown) => void) => {
        const tell = (answer: Answer) => (answer instanceof GrpcError ? fail(answer) : send(answer));
        this.calls += 1;
        this.#streams.add(tell);
        setImmediate(() => tell(this.#answer));
        return () => void this.#streams.delete(tell);
      };
      serveGrpc(socket, SERVICE, { unary: {}, streaming: { FetchX509SVID } }, requireSecurityHeader, (error) => {
        throw error;
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
  }

  /** What every open stream gets now, and every one to come at first. */
  say(answer: Answer): void {
    this.#answer = answer;
    for (const tell of this.#streams) tell(answer);
  }

  /** As kill -9 would, but for the file. */
  stop(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** One SVID as the API gives it: a leaf and what follows it in PEM, its key, and the roots of its trust domain. */
export function svidMessage(spiffeId: string, { key, cert }: KeyedCertificate, roots: readonly string[]): X509SvidMessage {
  return { spiffeId, chain: der(cert), key: createPrivateKey(key).export({ type: 'pkcs8', format: 'der' }), bundle: der(roots.join('')) };
}

/** A whole answer; federated bundles in PEM by trust domain. */
export function svidsMessage(svids: readonly X509SvidMessage[], federated: Readonly<Record<string, string>> = {}): Buffer {
  return encodeX509Svids({ svids, federated: new Map(Object.entries(federated).map(([name, pem]) => [`spiffe://${name}`, der(pem)])) });
}

function der(pem: string): Buffer {
  return Buffer.concat((pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []).map((block) => fromPem('CERTIFICATE', block)));
}
