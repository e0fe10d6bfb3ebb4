import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

/** What the admin port shows. It holds no key, no token and no policy text. */
export interface AdminView {
  /** Empty when ready; otherwise what is missing, for people. */
  readonly unready: () => readonly string[];
  readonly metrics: Metrics;
  /** Names and hashes of the configuration in force. */
  readonly config: () => unknown;
}

/** The admin port, on loopback only. */
export interface AdminServer {
  readonly port: number;
  close(): void;
}

/** Starts the admin port; 0 takes any free one. @throws Error naming the port when it cannot be bound */
export function startAdmin(port: number, view: AdminView): Promise<AdminServer> {
  const server = http.createServer({ maxHeaderSize: 8 * 1024, requestTimeout: 10_000 }, (req, res) => {
    // A page in a browser must not reach loopback under another name (DNS rebinding).
    const local = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(req.headers.host ?? '');
    if (!local || req.method !== 'GET') return reply(res, local ? 405 : 421, 'text/plain', 'not here\n');
    answer(req.url ?? '', res, view).catch(() => res.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`cannot listen on admin port 127.0.0.1:${port}: ${error.message}; set SALLYPORT_ADMIN_PORT to a free one`)));
    server.listen(port, '127.0.0.1', () => {
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ port: (server.address() as AddressInfo).port, close });
    });
  });
}

async function answer(url: string, res: ServerResponse, view: AdminView): Promise<void> {
  switch (url) {
    case '/healthz':
      return reply(res, 200, 'text/plain', 'ok\n');
    case '/readyz': {
      const missing = view.unready();
      return reply(res, missing.length === 0 ? 200 : 503, 'text/plain', missing.length === 0 ? 'ready\n' : `${missing.join('\n')}\n`);
    }
    case '/metrics': {
      const { type, text } = view.metrics.render();
      return reply(res, 200, type, text);
    }
    case '/config':
      return reply(res, 200, 'application/json', `${JSON.stringify(view.config(), null, 2)}\n`);
    default:
      return reply(res, 404, 'text/plain', 'known paths: /healthz /readyz /metrics /config\n');
  }
}

function reply(res: ServerResponse, status: number, type: string, text: string): void {
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' });
  res.end(text);
}
