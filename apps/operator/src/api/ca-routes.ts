import { type CaActionView, caActivateRequest } from '@sallyport/shared/api';
import { type Context, Hono } from 'hono';
import type { TakenStep } from '../ca/rotation.ts';
import { appendAudit } from '../history/audit.ts';
import { readCa } from '../observe/views/ca.ts';
import { type ApiEnv, requireRole, writeContext } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { jsonBody } from './input.ts';

/** The CA: its state, and the steps of its rotation that somebody may ask for. */
export function caRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { database, now, ca } = dependencies;
  const routes = new Hono<ApiEnv>();
  const approver = requireRole(database, 'approver', now);

  routes.get('/ca', requireRole(database, 'viewer', now), async (c) => c.json(await readCa(dependencies)));
  routes.post('/ca/rotate-root', approver, async (c) => c.json(await answer(dependencies, c, 'rotate-root', await ca.rotation.rotateRoot())));
  routes.post('/ca/rotate-issuer', approver, async (c) => c.json(await answer(dependencies, c, 'rotate-issuer', await ca.rotation.rotateIssuer())));
  routes.post('/ca/activate', approver, async (c) => {
    const { force } = await jsonBody(c, caActivateRequest);
    const { steps, breaking } = await ca.rotation.activate(force);
    return c.json(await answer(dependencies, c, breaking.length > 0 ? 'force-activate-root' : 'activate-root', steps, breaking));
  });
  return routes;
}

/** Records who did it, and answers with what the CA is now. */
async function answer(dependencies: ApiDependencies, c: Context<ApiEnv>, action: string, steps: readonly TakenStep[], breaking: readonly string[] = []): Promise<CaActionView> {
  const { database, now, ca } = dependencies;
  const { actor, via } = writeContext(c, 'sallyport-ca');
  const after = { steps, ...(breaking.length > 0 ? { breaking } : {}) };
  ca.tell(steps);
  await database.$transaction((tx) => appendAudit(tx, { actor, via, action, resource: `CertificateAuthority/${dependencies.trustDomain}`, before: null, after }, now()));
  return { steps: [...steps], breaking: [...breaking], ca: await readCa(dependencies) };
}
