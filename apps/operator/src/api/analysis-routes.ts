import { diffRequest, explainRequest, type FlowsView, type UnusedView } from '@sallyport/shared/api';
import { windowViewOf } from '@sallyport/shared/graph';
import { type AuthorizationPolicy, parseManifest, type PeerAuthentication, type RequestAuthentication } from '@sallyport/shared/resources';
import { type Context, Hono } from 'hono';
import { AnalysisThread, NotComputed } from '../observe/analysis-thread.ts';
import { CallProblem } from '../observe/call.ts';
import { meshOf, meshState } from '../observe/mesh-state.ts';
import { observe, type Observation } from '../observe/observation.ts';
import type { AnalysisMaterial } from '../observe/views/analysis.ts';
import { storedPolicies } from '../observe/views/strict.ts';
import { admit } from './admission.ts';
import { type ApiEnv, requireRole } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure } from './errors.ts';
import { count, jsonBody, windowMs } from './input.ts';

const MOST_FLOWS = 20_000;

/** Recorded flows, and the analyses of stored policies that console and command line show. Nothing here writes. */
export function analysisRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const thread = new AnalysisThread();
  const viewer = requireRole(dependencies.database, 'viewer', dependencies.now);
  routes.get('/flows', viewer, async (c) => {
    const namespace = c.req.query('namespace');
    const limit = count('limit', c.req.query('limit'), MOST_FLOWS, MOST_FLOWS);
    const observation = await observe(dependencies, windowMs(c.req.query('window')));
    const inbound = inboundOf(observation).filter((flow) => namespace === undefined || flow.destination.namespace === namespace);
    return c.json({ window: windowViewOf(observation.window), coverage: observation.coverage, total: inbound.length, items: inbound.slice(0, limit) } satisfies FlowsView);
  });
  routes.get('/policies/lint', viewer, async (c) => c.json(await told('lint', thread.run('lint', materialOf(dependencies), null))));
  routes.post('/policies/explain', viewer, async (c) => {
    const asked = await jsonBody(c, explainRequest);
    return c.json(await told('explain', thread.run('explain', materialOf(dependencies), asked)));
  });
  routes.get('/policies/reach', viewer, async (c) => {
    const port = c.req.query('port');
    const input = { to: required(c, 'to'), port: port === undefined ? null : count('port', port, 1, 65_535) };
    return c.json(await told('reach', thread.run('reach', materialOf(dependencies), input)));
  });
  routes.get('/policies/blast', viewer, async (c) => c.json(await told('reach', thread.run('blast', materialOf(dependencies), { from: required(c, 'from') }))));
  routes.get('/policies/unused', viewer, async (c) => c.json(await unusedView(dependencies, thread, windowMs(c.req.query('window')))));
  routes.post('/policies/diff', viewer, async (c) => {
    const proposed = parseManifest((await jsonBody(c, diffRequest)).manifest);
    if (proposed.length === 0) throw new ApiFailure('invalid', 'the manifest holds no document');
    await admit(dependencies.store, meshOf(dependencies.cache, dependencies.trustDomain), proposed);
    return c.json(await told('diff', thread.run('diff', materialOf(dependencies), { proposed })));
  });
  return routes;
}

/** What is stored, without the bookkeeping that no analysis reads: a change of status is no other question. */
function materialOf(dependencies: ApiDependencies): AnalysisMaterial {
  const { mesh, authorizationPolicies, peerAuthentications, requestAuthentications } = storedPolicies(dependencies);
  const { workloads, services } = meshState(dependencies.cache, dependencies.trustDomain);
  return {
    policies: { mesh, authorizationPolicies: authorizationPolicies.map(plain), peerAuthentications: peerAuthentications.map(plain), requestAuthentications: requestAuthentications.map(plain) },
    universe: { workloads, services },
  };
}

function plain<R extends AuthorizationPolicy | PeerAuthentication | RequestAuthentication>({ status: _status, ...object }: R): R {
  const { name, namespace, labels, creationTimestamp } = object.metadata;
  return { ...object, metadata: { name, namespace, labels, creationTimestamp } } as R;
}

function inboundOf({ flows }: Observation) {
  return flows.filter((flow) => flow.side === 'inbound').sort((a, b) => b.count - a.count);
}

function required(c: Context, name: string): string {
  const value = c.req.query(name);
  if (!value || value.length > 2048) throw new ApiFailure('invalid', `${name} is required`);
  return value;
}

/** Tells what an analysis could not do in the API's own errors. */
async function told<T>(command: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CallProblem) throw new ApiFailure('invalid', error.message, error.remedy ?? undefined);
    if (!(error instanceof NotComputed)) throw error;
    if (error.why === 'busy') throw new ApiFailure('unavailable', `not computed: ${error.message}`, 'try again in a moment');
    throw new ApiFailure('too-large', error.message, `use the command line, which takes the time it needs: sallyport policy ${command}`);
  }
}

async function unusedView(dependencies: ApiDependencies, thread: AnalysisThread, window: number): Promise<UnusedView> {
  const observation = await observe(dependencies, window);
  const inbound = inboundOf(observation);
  const flows = inbound.slice(0, MOST_FLOWS);
  const result = await told('reach --unused', thread.run('unused', materialOf(dependencies), { flows }, false));
  return {
    ...result,
    window: windowViewOf(observation.window),
    coverage: observation.coverage,
    flows: { read: flows.length, total: inbound.length },
    caveat: caveatOf(observation, inbound.length > flows.length),
  };
}

/** Silence is proof of nothing; how little it says depends on who was looking. */
function caveatOf({ coverage, window }: Observation, cut: boolean): string {
  if (coverage.proxiesExpected === 0) return 'No proxy is enrolled, so nobody looked: this list says nothing about what is used.';
  const late = coverage.since !== null && Date.parse(coverage.since) > window.from + 15_000;
  const short = coverage.share === null || coverage.share < 1 || late;
  if (short) return 'The proxies did not report the whole window: a permission on this list may well have been used. This is not proof.';
  if (cut) return `Only the ${MOST_FLOWS} most frequent kinds of call were compared: a permission on this list may have been used rarely. This is not proof.`;
  return 'Whoever calls more rarely than the window is long was not seen. This is a question to the owners and not proof.';
}
