import { applyRequest, type ApplyView, enrollRequest, previewRequest, strictRollbackRequest } from '@sallyport/shared/api';
import { KINDS, type Kind, parseManifest, type Resource, type Workload } from '@sallyport/shared/resources';
import { type Context, Hono } from 'hono';
import { appendAudit } from '../history/audit.ts';
import { meshOf } from '../observe/mesh-state.ts';
import { mintJoinToken } from '../history/proxies.ts';
import { previewView } from '../observe/views/preview.ts';
import { strictPlan } from '../observe/views/strict.ts';
import { z } from 'zod';
import type { ResourceKey } from '../store/ports.ts';
import { admit, admitDeletion } from './admission.ts';
import { type ApiEnv, requireRole, writeContext } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure } from './errors.ts';
import { jsonBody, kindOf, windowMs } from './input.ts';

const tokenRequest = z.strictObject({ proxy: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/), role: z.enum(['node', 'sidecar']) });

/** Resources: read, apply, delete, preview, enroll. */
export function resourceRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { store, database, now } = dependencies;
  const routes = new Hono<ApiEnv>();
  const viewer = requireRole(database, 'viewer', now);
  const editor = requireRole(database, 'editor', now);

  routes.get('/resources/:kind', viewer, async (c) => {
    const kind = kindOf(c.req.param('kind'));
    return c.json(await store.list(kind, c.req.query('namespace')));
  });
  const read = async (c: Context<ApiEnv>) => {
    const key = keyFrom(c);
    const object = await store.get(key);
    if (!object) throw new ApiFailure('not-found', `there is no ${describe(key)}`);
    return c.json(object);
  };
  routes.get('/resources/:kind/:name', viewer, read);
  routes.get('/resources/:kind/:ns/:name', viewer, read);
  const remove = async (c: Context<ApiEnv>) => {
    const key = keyFrom(c);
    await admitDeletion(store, key);
    await store.delete(key, writeContext(c, 'sallyport'), c.req.query('resourceVersion'));
    return c.body(null, 204);
  };
  routes.delete('/resources/:kind/:name', editor, remove);
  routes.delete('/resources/:kind/:ns/:name', editor, remove);

  routes.post('/apply', editor, async (c) => c.json(await apply(dependencies, c)));
  routes.post('/policies/preview', viewer, async (c) => {
    const { manifest, window } = await jsonBody(c, previewRequest);
    const resources = documents(manifest);
    await admit(store, meshOf(dependencies.cache, dependencies.trustDomain), resources);
    return c.json(await previewView(dependencies, resources, windowMs(window)));
  });
  routes.post('/workloads/:ns/:name/enroll', editor, async (c) => {
    const { proxy } = await jsonBody(c, enrollRequest);
    return c.json(await enroll(dependencies, c, proxy));
  });
  return routes;
}

/** Applies a manifest, all documents or none. */
async function apply(dependencies: ApiDependencies, c: Context<ApiEnv>): Promise<ApplyView> {
  const { manifest, dryRun, force, manager } = await jsonBody(c, applyRequest);
  const resources = documents(manifest);
  await admit(dependencies.store, meshOf(dependencies.cache, dependencies.trustDomain), resources);
  const results = await dependencies.store.apply(resources, writeContext(c, manager, force), dryRun);
  return {
    dryRun,
    results: results.map(({ object, action }) => ({
      kind: object.kind,
      namespace: object.metadata.namespace ?? null,
      name: object.metadata.name,
      action,
      generation: object.metadata.generation ?? 0,
      resourceVersion: object.metadata.resourceVersion ?? '',
    })),
  };
}

/** @throws ApiFailure for a manifest without a document; InvalidResourceError for one with a bad document */
function documents(manifest: string): Resource[] {
  const resources = parseManifest(manifest);
  if (resources.length === 0) throw new ApiFailure('invalid', 'the manifest holds no document');
  return resources;
}

/** Routes the compiler cannot type: both the two- and the three-part form end here. */
function keyFrom(c: Context<ApiEnv>): ResourceKey {
  const params = c.req.param() as { kind: string; name: string; ns?: string };
  const kind: Kind = kindOf(params.kind);
  const namespaced = KINDS[kind].namespaced;
  if (namespaced && params.ns === undefined) throw new ApiFailure('invalid', `${kind} belongs to a namespace; name it`, 'use /resources/KIND/NAMESPACE/NAME');
  if (!namespaced && params.ns !== undefined) throw new ApiFailure('invalid', `${kind} belongs to no namespace`, 'use /resources/KIND/NAME');
  return { kind, namespace: params.ns ?? '', name: params.name };
}

function describe(key: ResourceKey): string {
  return `${key.kind} ${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}`;
}

/** Puts a known workload behind a proxy: the named one, or the node proxy that serves most of its namespace. */
async function enroll(dependencies: ApiDependencies, c: Context<ApiEnv>, wanted: string | undefined): Promise<Resource> {
  const params = c.req.param() as { ns: string; name: string };
  const key: ResourceKey = { kind: 'Workload', namespace: params.ns, name: params.name };
  const workload = (await dependencies.store.get(key)) as Workload | null;
  if (!workload) throw new ApiFailure('not-found', `there is no ${describe(key)}`, 'register it first with a Workload resource');
  const proxies = await dependencies.database.proxy.findMany();
  const proxy = wanted ?? proxyFor(dependencies, params.ns, proxies.filter((item) => item.role === 'node').map((item) => item.name));
  if (proxy === null || !proxies.some((item) => item.name === proxy)) {
    throw new ApiFailure('invalid', wanted === undefined ? 'no node proxy is enrolled' : `proxy ${wanted} is not enrolled`, 'see `sallyport proxies`');
  }
  const { name, namespace, labels, annotations } = workload.metadata;
  const metadata = { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  const next: Workload = { ...workload, metadata, spec: { ...workload.spec, proxy } };
  delete next.status;
  const [result] = await dependencies.store.apply([next], writeContext(c, 'sallyport-enroll', wanted !== undefined));
  return result?.object ?? next;
}

function proxyFor(dependencies: ApiDependencies, namespace: string, nodes: readonly string[]): string | null {
  const counts = new Map(nodes.map((name) => [name, 0]));
  for (const { metadata, spec } of dependencies.cache.all('Workload')) {
    const seen = spec.proxy === undefined ? undefined : counts.get(spec.proxy);
    if (metadata.namespace === namespace && spec.proxy !== undefined && seen !== undefined) counts.set(spec.proxy, seen + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/** The step to strict, and join tokens for proxies. */
export function operationRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { database, now, stepper } = dependencies;
  const routes = new Hono<ApiEnv>();
  const approver = requireRole(database, 'approver', now);

  routes.get('/namespaces/:ns/strict', requireRole(database, 'viewer', now), async (c) => c.json(await strictPlan(dependencies, known(dependencies, c.req.param('ns')))));
  routes.post('/namespaces/:ns/strict', approver, async (c) => {
    const namespace = known(dependencies, c.req.param('ns'));
    await stepper.start(namespace, writeContext(c, 'sallyport-strict'));
    return c.json(await strictPlan(dependencies, namespace));
  });
  routes.post('/namespaces/:ns/strict/rollback', approver, async (c) => {
    const namespace = known(dependencies, c.req.param('ns'));
    const { reason } = await jsonBody(c, strictRollbackRequest);
    const context = writeContext(c, 'sallyport-strict');
    await stepper.rollBack(namespace, context, reason ?? `asked for by ${context.actor}`);
    return c.json(await strictPlan(dependencies, namespace));
  });
  routes.post('/proxies/tokens', approver, async (c) => {
    const { proxy, role } = await jsonBody(c, tokenRequest);
    const { token, expiresAt } = await mintJoinToken(database, proxy, role, now());
    const { actor, via } = writeContext(c, 'sallyport');
    await database.$transaction((tx) => appendAudit(tx, { actor, via, action: 'mint-join-token', resource: `Proxy/${proxy}`, before: null, after: { role, expiresAt: expiresAt.toISOString() } }, now()));
    return c.json({ token, expiresAt: expiresAt.toISOString() });
  });
  return routes;
}

function known(dependencies: ApiDependencies, namespace: string): string {
  const exists = [...dependencies.cache.all('Workload'), ...dependencies.cache.all('Service')].some((item) => item.metadata.namespace === namespace);
  if (!exists) throw new ApiFailure('not-found', `no workload or service is in namespace ${namespace}`, 'see `sallyport namespaces`');
  return namespace;
}
