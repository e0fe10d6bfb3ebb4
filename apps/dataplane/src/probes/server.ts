import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AppProbe } from '@sallyport/shared/push';
import { askApp } from './ask.ts';
import type { Outcome } from './outcome.ts';
import type { ProbeSettings } from './settings.ts';

const REQUEST_MS = 10_000;
/** The kubelet asks for three probes of a container, one at a time each. */
const MAX_CONNECTIONS = 256;

/** The probe port, on all addresses. */
export interface ProbeServer {
  readonly port: number;
  close(): void;
}

/**
 * Answers the kubelet, which has no identity in the mesh: for the proxy itself (`/healthz`, `/readyz`), and for the
 * application, whose ports it cannot reach where mutual TLS is demanded. Only what was declared is asked, and whoever else
 * calls here learns a yes or a no; the application is asked once at a time for each probe, however many want to know.
 *
 * @param unready what keeps the proxy from being ready
 * @throws Error naming the port when it cannot be bound
 */
export async function startProbes(settings: ProbeSettings, unready: () => readonly string[]): Promise<ProbeServer> {
  const declared = new Map(Object.entries(settings.declared));
  const asked = new Map<string, Promise<Outcome>>();
  const ask = (path: string, probe: AppProbe): Promise<Outcome> => {
    const outcome = asked.get(path) ?? askApp(probe, settings.host).finally(() => asked.delete(path));
    asked.set(path, outcome);
    return outcome;
  };
  const server = http.createServer({ maxHeaderSize: 8 * 1024, requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    const path = request.url ?? '';
    const probe = declared.get(path);
    if (request.method !== 'GET') return reply(response, 405, 'GET only\n');
    if (path === '/healthz') return reply(response, 200, 'ok\n');
    // What is missing names identities: that is for the admin port.
    if (path === '/readyz') return unready().length === 0 ? reply(response, 200, 'ready\n') : reply(response, 503, 'not ready\n');
    if (!probe) return reply(response, 404, 'no such probe\n');
    void ask(path, probe).then((outcome) => (outcome.healthy ? reply(response, 200, 'ok\n') : reply(response, 503, `${outcome.why}\n`)));
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, settings.port);
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** On both families; a machine without IPv6 has one. */
async function listen(server: http.Server, port: number): Promise<void> {
  const bind = (host: string) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await bind('::').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EAFNOSUPPORT' && error.code !== 'EADDRNOTAVAIL') throw error;
      return bind('0.0.0.0');
    });
  } catch (error) {
    throw new Error(`cannot listen on probe port ${port}: ${(error as Error).message}; set SALLYPORT_PROBE_PORT to a free one`, { cause: error });
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' });
  response.end(text);
}
