import type { Impact, PreviewView } from '@sallyport/shared/api';
import { sourceOf, windowViewOf } from '@sallyport/shared/graph';
import { type Flow, type MeshWorkload, selects } from '@sallyport/shared/mesh';
import { type Decision, decideTarget, effectiveMtls, type RawRequest } from '@sallyport/shared/policy';
import { type AuthorizationPolicy, parseResource, type PeerAuthentication, type RequestAuthentication, type Resource, type Service } from '@sallyport/shared/resources';
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { bearsOn, compileFor, type PolicySet } from '../modes.ts';
import { observe, type Observation, type Sources } from '../observation.ts';
import { storedPolicies } from './strict.ts';

/** What an external authorizer would have said nobody knows: such a call counts as allowed here, with a warning. */
type Verdict = Pick<Decision, 'explanation' | 'policy'> & { readonly effect: 'ALLOW' | 'DENY' };

/**
 * Replays the recorded flows of a window through the stored policies and through the proposed ones, with the evaluator
 * that the proxies run. Nothing is written.
 */
export async function previewView(sources: Sources, proposed: readonly Resource[], windowMs: number): Promise<PreviewView> {
  const observation = await observe(sources, windowMs);
  const before = storedPolicies(sources);
  const after = overlay(before, proposed);
  const wouldDeny: Impact[] = [];
  const wouldAllow: Impact[] = [];
  const unchanged = { allowed: 0, denied: 0 };
  let evaluated = 0;
  for (const { flow, workload } of replayable(observation)) {
    const was = replay(flow, workload, before);
    const will = replay(flow, workload, after);
    evaluated += flow.count;
    if (was.effect === will.effect) unchanged[will.effect === 'ALLOW' ? 'allowed' : 'denied'] += flow.count;
    else (will.effect === 'DENY' ? wouldDeny : wouldAllow).push(impactOf(flow, will, observation));
  }
  const byCount = (a: Impact, b: Impact) => b.requests - a.requests;
  return {
    window: windowViewOf(observation.window),
    coverage: observation.coverage,
    diff: proposed.map((object) => diffOf(sources, object)).join('\n'),
    evaluated,
    wouldDeny: wouldDeny.sort(byCount),
    wouldAllow: wouldAllow.sort(byCount),
    unchanged,
    warnings: warningsOf(observation, proposed, after),
  };
}

/** The stored policies with the proposed ones in their place. */
function overlay(stored: PolicySet, proposed: readonly Resource[]): PolicySet {
  const same = (a: Resource, b: Resource) => a.kind === b.kind && a.metadata.namespace === b.metadata.namespace && a.metadata.name === b.metadata.name;
  const merge = <R extends Resource>(present: readonly R[], kind: R['kind']): R[] => {
    const fresh = proposed.filter((object): object is R => object.kind === kind);
    return [...present.filter((object) => !fresh.some((item) => same(item, object))), ...fresh];
  };
  return {
    mesh: proposed.find((object) => object.kind === 'Mesh')?.spec ?? stored.mesh,
    authorizationPolicies: merge<AuthorizationPolicy>(stored.authorizationPolicies, 'AuthorizationPolicy'),
    peerAuthentications: merge<PeerAuthentication>(stored.peerAuthentications, 'PeerAuthentication'),
    requestAuthentications: merge<RequestAuthentication>(stored.requestAuthentications, 'RequestAuthentication'),
    services: merge<Service>(stored.services, 'Service'),
  };
}

/** Inbound flows whose workload still exists. Calls refused before policy (broken paths, failed peers) have no verdict to replay. */
function replayable(observation: Observation): { flow: Flow; workload: MeshWorkload }[] {
  const byName = new Map(observation.mesh.workloads.map((workload) => [`${workload.namespace}/${workload.name}`, workload]));
  return observation.flows.flatMap((flow) => {
    const workload = byName.get(`${flow.destination.namespace}/${flow.destination.workload ?? ''}`);
    const decided = flow.verdict === 'allowed' || flow.reason === 'policy-deny' || flow.reason === 'policy-no-allow' || flow.reason === 'plaintext-refused' || flow.reason === 'upstream-unreachable';
    return flow.side === 'inbound' && workload && decided ? [{ flow, workload }] : [];
  });
}

function replay(flow: Flow, workload: MeshWorkload, policies: PolicySet): Verdict {
  const compiled = compileFor(workload, policies);
  const { mode, policy } = effectiveMtls(compiled, flow.destination.port);
  if (mode === 'STRICT' && flow.mtls === 'plaintext') return { effect: 'DENY', policy, explanation: `port ${flow.destination.port} is STRICT and the peer speaks plaintext` };
  const { decision } = decideTarget(compiled, requestOf(flow, workload));
  return { ...decision, effect: decision.effect === 'DENY' ? 'DENY' : 'ALLOW' };
}

/** The recorded call as the evaluator takes it. Hosts and headers are not recorded, so rules on them see none. */
function requestOf(flow: Flow, workload: MeshWorkload): RawRequest {
  const common = { source: flow.source, destination: { ip: workload.address, port: flow.destination.port } };
  if (flow.protocol === 'tcp' || flow.method === null) return { protocol: 'tcp', ...common };
  const host = flow.destination.service === null ? '' : `${flow.destination.service}.${flow.destination.namespace}`;
  return { protocol: 'http', ...common, http: { method: flow.method, host, target: flow.samplePath ?? flow.path ?? '/', headers: {} } };
}

function impactOf(flow: Flow, verdict: Verdict, observation: Observation): Impact {
  const { namespace, workload, service, port } = flow.destination;
  return {
    source: { ...flow.source, workload: sourceOf(flow, observation.mesh).workload },
    destination: { namespace, workload: workload ?? '', service, port },
    method: flow.method,
    path: flow.path,
    mtls: flow.mtls,
    requests: flow.count,
    lastSeen: new Date(flow.lastSeen).toISOString(),
    explanation: verdict.explanation,
    policy: verdict.policy,
    approximate: flow.path !== flow.samplePath,
  };
}

function diffOf(sources: Sources, object: Resource): string {
  const { name, namespace } = object.metadata;
  const stored = (sources.cache.all(object.kind) as Resource[]).find((item) => item.metadata.name === name && item.metadata.namespace === namespace);
  const title = `${object.kind} ${namespace ?? ''}/${name}`;
  return createTwoFilesPatch(`${title} (stored)`, `${title} (proposed)`, stored ? yamlOf(stored) : '', yamlOf(object), '', '', { context: 4 });
}

/** In the schema's order of fields: the database keeps objects in an order of its own, and order is no change. */
function yamlOf(object: Resource): string {
  const { apiVersion, kind, metadata, spec } = parseResource(object);
  const { name, namespace, labels } = metadata;
  const shown = Object.keys(labels ?? {}).length > 0 ? { labels } : {};
  return stringify({ apiVersion, kind, metadata: { name, namespace, ...shown }, spec });
}

type Warnings = PreviewView['warnings'];

function warningsOf(observation: Observation, proposed: readonly Resource[], after: PolicySet): Warnings {
  return proposed.flatMap((object) => {
    if (object.kind !== 'AuthorizationPolicy' && object.kind !== 'PeerAuthentication' && object.kind !== 'RequestAuthentication') return [];
    const id = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const selected = observation.mesh.workloads.filter((workload) => bears(object, workload, after));
    const isRoot = object.metadata.namespace === after.mesh.rootNamespace;
    const warnings = selected.length === 0 && !isRoot ? [{ code: 'selects-nothing', message: `${id} selects no workload`, remedy: 'correct the namespace, the selector or the targetRefs' }] : [];
    return [...warnings, ...blindSpots(object, id), ...plaintextWarnings(observation, object, selected, id)];
  });
}

function bears(object: AuthorizationPolicy | PeerAuthentication | RequestAuthentication, workload: MeshWorkload, policies: PolicySet): boolean {
  if (object.kind !== 'PeerAuthentication') return bearsOn(object, workload, policies);
  return workload.namespace === object.metadata.namespace && selects(object.spec.selector?.matchLabels, workload.labels);
}

/** What a recorded flow cannot tell about a proposal. */
function blindSpots(object: Resource, id: string): Warnings {
  const remedy = 'read this preview as approximate, or apply with enforcement: DryRun first';
  if (object.kind === 'RequestAuthentication') {
    return [{ code: 'not-recorded', message: `${id} judges tokens, which flows do not record: calls with a token that it refuses are not foreseen here`, remedy: 'apply it before any policy asks for its tokens, and watch for token-rejected' }];
  }
  if (object.kind !== 'AuthorizationPolicy') return [];
  const asks = object.spec.provider === undefined
    ? []
    : [{ code: 'external-authorizer', message: `${id} asks ${object.spec.provider.name}, whose answers nobody knows beforehand: calls that it would refuse are not foreseen here`, remedy: 'look at what the authorizer itself logs' }];
  if (!/"(notH|h)osts"|"(notR|r)emoteIpBlocks"|"(notR|r)equestPrincipals"|remote\.ip|request\.(headers|auth)|connection\.sni/.test(JSON.stringify(object.spec))) return asks;
  return [...asks, { code: 'not-recorded', message: `${id} has rules on hosts, headers, tokens, clients behind proxies or SNI, which flows do not record`, remedy }];
}

/** Somebody who comes in plaintext has no identity: an ALLOW by identity would cut it off. Never in silence. */
function plaintextWarnings(observation: Observation, object: Resource, selected: readonly MeshWorkload[], id: string): PreviewView['warnings'] {
  if (object.kind !== 'AuthorizationPolicy' || object.spec.action !== 'ALLOW') return [];
  const names = new Set(selected.map((workload) => `${workload.namespace}/${workload.name}`));
  const callers = new Map<string, number>();
  for (const flow of observation.flows) {
    if (flow.side !== 'inbound' || flow.mtls !== 'plaintext' || !names.has(`${flow.destination.namespace}/${flow.destination.workload ?? ''}`)) continue;
    const label = sourceOf(flow, observation.mesh).workload ?? flow.source.ip;
    callers.set(label, (callers.get(label) ?? 0) + flow.count);
  }
  return [...callers].map(([caller, count]) => ({
    code: 'plaintext-caller',
    message: `${caller} made ${count} calls in plaintext; it has no identity, so ${id} cannot allow it by identity`,
    remedy: caller.includes('/') ? `enroll it first: sallyport workload enroll ${caller}` : `find the workload at ${caller} and enroll it, or allow its address with ipBlocks knowingly`,
  }));
}
