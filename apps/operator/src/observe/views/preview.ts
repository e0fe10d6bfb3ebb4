import { overlay, replay, type ReplayedFlow, unrecordedIn } from '@sallyport/shared/analysis';
import type { Impact, PreviewView } from '@sallyport/shared/api';
import { sourceOf, windowViewOf } from '@sallyport/shared/graph';
import { type MeshWorkload, selects } from '@sallyport/shared/mesh';
import { type AuthorizationPolicy, parseResource, type PeerAuthentication, type RequestAuthentication, type Resource } from '@sallyport/shared/resources';
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { bearsOn, type PolicySet } from '../modes.ts';
import { observe, type Observation, type Sources } from '../observation.ts';
import { storedPolicies } from './strict.ts';

/**
 * Replays the recorded flows of a window through the stored policies and through the proposed ones, with the evaluator
 * that the proxies run. Nothing is written.
 */
export async function previewView(sources: Sources, proposed: readonly Resource[], windowMs: number): Promise<PreviewView> {
  const observation = await observe(sources, windowMs);
  const before = storedPolicies(sources);
  const after = overlay(before, proposed);
  const result = replay(observation.flows, before, after, observation.mesh);
  const impacts = (list: readonly ReplayedFlow[]) => list.map((each) => impactOf(each, observation));
  return {
    window: windowViewOf(observation.window),
    coverage: observation.coverage,
    diff: proposed.map((object) => diffOf(sources, object)).join('\n'),
    evaluated: result.evaluated,
    wouldDeny: impacts(result.wouldDeny),
    wouldAllow: impacts(result.wouldAllow),
    unchanged: result.unchanged,
    warnings: [...warningsOf(observation, proposed, attachedTo(before, after, proposed)), ...askWarnings(result.wouldAsk)],
  };
}

/** The proposed policies with the services that they may be attached to. */
function attachedTo(before: PolicySet, after: ReturnType<typeof overlay>, proposed: readonly Resource[]): PolicySet {
  const services = proposed.filter((object) => object.kind === 'Service');
  return { ...after, requestAuthentications: after.requestAuthentications ?? [], services: [...services, ...before.services] };
}

/** What was allowed, or denied, and would be for an external authorizer to say: no replay knows its answer. */
function askWarnings(asked: readonly ReplayedFlow[]): Warnings {
  const byProvider = Map.groupBy(asked, ({ after }) => after.provider ?? '');
  return [...byProvider].map(([provider, flows]) => ({
    code: 'would-ask',
    message: `${flows.reduce((sum, { flow }) => sum + flow.count, 0)} calls would be for the authorizer ${provider} to allow or deny`,
    remedy: `make sure that ${provider} answers: a call that it does not answer is denied`,
  }));
}

function impactOf({ flow, after, approximate }: ReplayedFlow, observation: Observation): Impact {
  const { namespace, workload, service, port } = flow.destination;
  return {
    source: { ...flow.source, workload: sourceOf(flow, observation.mesh).workload },
    destination: { namespace, workload: workload ?? '', service, port },
    method: flow.method,
    path: flow.path,
    mtls: flow.mtls,
    requests: flow.count,
    lastSeen: new Date(flow.lastSeen).toISOString(),
    explanation: after.explanation,
    policy: after.policy,
    approximate: approximate.length > 0,
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
  const fields = unrecordedIn(object);
  return fields.length === 0 ? asks : [...asks, { code: 'not-recorded', message: `${id} has rules on ${fields.join(', ')}, which flows do not record`, remedy }];
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
