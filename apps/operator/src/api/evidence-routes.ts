import { createHash, createPublicKey, randomUUID } from 'node:crypto';
import { evidenceRequest } from '@sallyport/shared/api';
import { keyIdOf, packBundle, renderBundle, signBundle } from '@sallyport/shared/evidence';
import { Hono } from 'hono';
import { appendAudit } from '../history/audit.ts';
import { evidenceModel } from '../observe/views/evidence.ts';
import { type ApiEnv, requireRole } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure } from './errors.ts';
import { jsonBody } from './input.ts';

const LONGEST_MS = 400 * 24 * 3_600_000;

/** Evidence: make a bundle, list those made, hand out the public key. */
export function evidenceRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { database, now, evidenceKey } = dependencies;
  const routes = new Hono<ApiEnv>();
  const auditor = requireRole(database, 'auditor', now);

  routes.get('/evidence/key', auditor, (c) => {
    const publicKey = createPublicKey(evidenceKey);
    const fingerprint = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
    return c.json({ keyId: keyIdOf(evidenceKey), publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }), fingerprint });
  });
  routes.get('/evidence', auditor, async (c) => {
    const rows = await database.evidenceBundle.findMany({ orderBy: { createdAt: 'desc' }, take: 100 });
    return c.json({ items: rows.map((row) => ({ ...row, from: row.from.toISOString(), to: row.to.toISOString(), createdAt: row.createdAt.toISOString() })) });
  });
  routes.post('/evidence', auditor, async (c) => {
    const { from, to } = await jsonBody(c, evidenceRequest);
    const window = { from: Date.parse(from), to: Math.min(Date.parse(to), now()) };
    if (window.from >= window.to || window.to - window.from > LONGEST_MS) {
      throw new ApiFailure('invalid', 'from must lie before to and before now, and at most 400 days before it', 'correct the range');
    }
    const model = await evidenceModel(dependencies, dependencies.authority, window, evidenceKey);
    const bundle = packBundle(signBundle(renderBundle(model), evidenceKey));
    const session = c.get('session');
    const record = { id: randomUUID(), from: new Date(window.from), to: new Date(window.to), createdAt: new Date(now()), createdBy: session.username, sha256: createHash('sha256').update(bundle).digest('hex'), bytes: bundle.length };
    await database.$transaction(async (transaction) => {
      await transaction.evidenceBundle.create({ data: record });
      await appendAudit(transaction, { actor: session.username, via: session.via, action: 'export-evidence', resource: `Evidence/${record.id}`, before: null, after: { from, to, sha256: record.sha256 } }, now());
    });
    const name = `sallyport-evidence-${from.slice(0, 16).replaceAll(':', '')}-${to.slice(0, 16).replaceAll(':', '')}.zip`;
    return c.body(new Uint8Array(bundle), 200, { 'content-type': 'application/zip', 'content-disposition': `attachment; filename="${name}"`, 'x-sallyport-sha256': record.sha256 });
  });
  return routes;
}
