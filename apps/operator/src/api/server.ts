import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import { analysisRoutes } from './analysis-routes.ts';
import { type ApiEnv, requireRole } from './auth.ts';
import { caRoutes } from './ca-routes.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure, STATUS, toApiError } from './errors.ts';
import { evidenceRoutes } from './evidence-routes.ts';
import { metricsText } from './metrics.ts';
import { sessionRoutes } from './session-routes.ts';
import { viewRoutes } from './view-routes.ts';
import { operationRoutes, resourceRoutes } from './write-routes.ts';

/** A manifest may have 1 MiB; JSON quoting makes it larger on the wire. */
const MAX_BODY = 2 * 1024 * 1024;
const SSE_KEEP_ALIVE_MS = 15_000;

/** The whole HTTP API. Nothing but health is readable without signing in. */
export function createApi(dependencies: ApiDependencies): Hono<ApiEnv> {
  const api = new Hono<ApiEnv>();
  api.use('*', async (c, next) => {
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
  });
  api.use('*', bodyLimit({ maxSize: MAX_BODY, onError: () => {
    throw new ApiFailure('too-large', `the body is larger than ${MAX_BODY} bytes`, 'split the manifest into several');
  } }));
  api.get('/healthz', (c) => c.text('ok\n'));
  api.get('/readyz', (c) => (dependencies.ready() ? c.text('ok\n') : c.text('starting\n', 503)));
  api.get('/metrics', requireRole(dependencies.database, 'viewer', dependencies.now), async (c) => c.text(await metricsText(dependencies)));
  for (const routes of [sessionRoutes, viewRoutes, analysisRoutes, resourceRoutes, operationRoutes, evidenceRoutes, caRoutes, eventRoutes]) {
    api.route('/api/v1', routes(dependencies));
  }
  api.notFound((c) => c.json({ error: { code: 'not-found', message: `no such route: ${c.req.method} ${c.req.path}` } }, 404));
  api.onError((error, c) => {
    const answer = toApiError(error);
    if (answer.error.code === 'internal' || answer.error.code === 'unavailable') {
      dependencies.log.error({ path: c.req.path, error: error.message, stack: error.stack }, 'request failed');
    }
    return c.json(answer, STATUS[answer.error.code]);
  });
  return api;
}

function eventRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/events', requireRole(dependencies.database, 'viewer', dependencies.now), (c) =>
    streamSSE(c, async (stream) => {
      const ended = Promise.withResolvers<void>();
      const leave = dependencies.events.subscribe((topic) => void stream.writeSSE({ data: JSON.stringify({ topic }) }));
      const keepAlive = setInterval(() => void stream.write(': keep-alive\n\n'), SSE_KEEP_ALIVE_MS);
      stream.onAbort(() => ended.resolve());
      await stream.write(': connected\n\n');
      await ended.promise;
      clearInterval(keepAlive);
      leave();
    }),
  );
  return routes;
}

/** Serves the API on plain HTTP: it belongs on loopback, behind the console or a TLS terminator. */
export async function listenApi(api: Hono<ApiEnv>, host: string, port: number): Promise<{ port: number; close: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: api.fetch, hostname: host, port }, (info) => {
      const close = () => new Promise<void>((done) => {
        server.close(() => done());
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
      resolve({ port: info.port, close });
    });
    server.once('error', reject);
  });
}
