import type { FlowsView } from '@sallyport/shared/api';
import { windowViewOf } from '@sallyport/shared/graph';
import { Hono } from 'hono';
import { observe } from '../observe/observation.ts';
import { type ApiEnv, requireRole } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { count, windowMs } from './input.ts';

const MOST_FLOWS = 20_000;

/** What the command line analyses policies with. Everything else that it needs are resources. */
export function analysisRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/flows', requireRole(dependencies.database, 'viewer', dependencies.now), async (c) => {
    const namespace = c.req.query('namespace');
    const limit = count('limit', c.req.query('limit'), MOST_FLOWS, MOST_FLOWS);
    const { window, coverage, flows } = await observe(dependencies, windowMs(c.req.query('window')));
    const inbound = flows.filter((flow) => flow.side === 'inbound' && (namespace === undefined || flow.destination.namespace === namespace)).sort((a, b) => b.count - a.count);
    return c.json({ window: windowViewOf(window), coverage, total: inbound.length, items: inbound.slice(0, limit) } satisfies FlowsView);
  });
  return routes;
}
