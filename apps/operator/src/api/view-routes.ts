import { buildGraph, callersOf, lookupOf, sourceOf, windowViewOf } from '@sallyport/shared/graph';
import type { DeniesView, ShadowsView, SignalsView } from '@sallyport/shared/api';
import { Hono } from 'hono';
import { readAudit } from '../history/audit.ts';
import { readDenies } from '../history/flows.ts';
import { readShadows } from '../history/shadows.ts';
import { closedSignals, openSignals } from '../history/signals.ts';
import { observe, type Observation } from '../observe/observation.ts';
import { certificatesView } from '../observe/views/certificates.ts';
import { namespaceDetail, namespacesView } from '../observe/views/namespaces.ts';
import { overviewView, proxiesView } from '../observe/views/overview.ts';
import { allowedEdges } from '../observe/views/allowed.ts';
import { type ApiEnv, requireRole } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure } from './errors.ts';
import { count, windowMs } from './input.ts';

const SIGNAL_COVERAGE_MS = 5 * 60_000;

/** Everything that only reads. */
export function viewRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const viewer = requireRole(dependencies.database, 'viewer', dependencies.now);

  routes.get('/overview', viewer, async (c) => c.json(await overviewView(dependencies, windowMs(c.req.query('window')))));
  routes.get('/namespaces', viewer, async (c) => c.json(await namespacesView(dependencies, windowMs(c.req.query('window')))));
  routes.get('/namespaces/:ns', viewer, async (c) => {
    const detail = await namespaceDetail(dependencies, windowMs(c.req.query('window')), c.req.param('ns'));
    if (!detail) throw new ApiFailure('not-found', `no workload or service is in namespace ${c.req.param('ns')}`, 'see `sallyport namespaces`');
    return c.json(detail);
  });
  routes.get('/graph', viewer, async (c) => {
    const { window, now, mesh, flows, coverage } = await observe(dependencies, windowMs(c.req.query('window')));
    const allowed = allowedEdges(dependencies);
    return c.json(buildGraph({ window, now, mesh, flows, coverage, allowed, namespace: c.req.query('namespace') }));
  });
  routes.get('/certificates', viewer, async (c) => c.json(await certificatesView(dependencies, dependencies.authority)));
  routes.get('/proxies', viewer, async (c) => c.json(await proxiesView(dependencies, dependencies.hub)));
  routes.get('/callers', viewer, async (c) => {
    const { namespace, service } = c.req.query();
    if (!namespace || !service) throw new ApiFailure('invalid', 'namespace and service are required');
    const observation = await observe(dependencies, windowMs(c.req.query('window')));
    if (!lookupOf(observation.mesh).services.has(`${namespace}/${service}`)) throw new ApiFailure('not-found', `there is no service ${namespace}/${service}`);
    return c.json({ ...callersOf({ ...observation, namespace, service }), selector: selectorOf(dependencies, namespace, service) });
  });
  return routes.route('/', securityRoutes(dependencies));
}

function selectorOf(dependencies: ApiDependencies, namespace: string, name: string): Record<string, string> {
  return dependencies.cache.all('Service').find((service) => service.metadata.namespace === namespace && service.metadata.name === name)?.spec.selector ?? {};
}

/** Signals, denies and the audit log. */
function securityRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { database, now } = dependencies;
  const routes = new Hono<ApiEnv>();
  const viewer = requireRole(database, 'viewer', now);

  routes.get('/signals', viewer, async (c) => {
    const state = c.req.query('state') ?? 'open';
    if (!['open', 'closed', 'all'].includes(state)) throw new ApiFailure('invalid', 'state must be open, closed or all');
    const [open, closed, { coverage }] = await Promise.all([
      state === 'closed' ? [] : openSignals(database),
      state === 'open' ? [] : closedSignals(database, 100),
      observe(dependencies, SIGNAL_COVERAGE_MS),
    ]);
    return c.json({ items: [...open, ...closed], coverage } satisfies SignalsView);
  });
  routes.get('/denies', viewer, async (c) => {
    const observation = await observe(dependencies, windowMs(c.req.query('window')));
    const limit = count('limit', c.req.query('limit'), 100, 1000);
    return c.json(await deniesView(dependencies, observation, limit, c.req.query('namespace')));
  });
  routes.get('/shadows', viewer, async (c) => {
    const { window, coverage } = await observe(dependencies, windowMs(c.req.query('window')));
    const namespace = c.req.query('namespace');
    const items = (await readShadows(database, window)).filter((each) => namespace === undefined || each.namespace === namespace);
    return c.json({ window: windowViewOf(window), coverage, items } satisfies ShadowsView);
  });
  routes.get('/audit', requireRole(database, 'auditor', now), async (c) => {
    const before = c.req.query('before');
    const limit = count('limit', c.req.query('limit'), 50, 500);
    const page = await readAudit(database, before === undefined ? null : BigInt(count('before', before, 1, Number.MAX_SAFE_INTEGER)), limit);
    return c.json({ ...page, chain: await dependencies.auditChain.verify() });
  });
  return routes;
}

async function deniesView(dependencies: ApiDependencies, observation: Observation, limit: number, namespace: string | undefined): Promise<DeniesView> {
  const { total, items } = await readDenies(dependencies.database, observation.window, limit, namespace);
  return {
    window: windowViewOf(observation.window),
    coverage: observation.coverage,
    total,
    items: items.map((deny) => ({
      ...deny,
      at: new Date(deny.at).toISOString(),
      source: { ...deny.source, workload: sourceOf(deny, observation.mesh).workload },
    })),
  };
}
