import type { KeyObject } from 'node:crypto';
import { buildGraph } from '@sallyport/shared/graph';
import { type EvidenceException, type EvidenceModel, type EvidenceQuery, keyIdOf } from '@sallyport/shared/evidence';
import { ownWorkloads, type Window } from '@sallyport/shared/mesh';
import type { Resource } from '@sallyport/shared/resources';
import type { Authority } from '../../ca/authority.ts';
import { auditBetween } from '../../history/audit.ts';
import type { Certificate } from '../../generated/prisma/client.ts';
import { certificatesBetween } from '../../history/certificates.ts';
import { readDenies } from '../../history/flows.ts';
import { bearsOn, namespaceMode } from '../modes.ts';
import { namespacesOf, observeWindow, type Observation, type Sources } from '../observation.ts';
import { certificateView } from './certificates.ts';
import { storedPolicies } from './strict.ts';

const VERSION = '0.1.0';
const MAX_DENIES = 50_000;
const CONFIG_KINDS = ['Mesh', 'PeerAuthentication', 'RequestAuthentication', 'AuthorizationPolicy', 'TrafficPolicy', 'ExpectedGraph', 'FederatedTrustDomain', 'Service', 'Workload'] as const;

const QUERIES: readonly EvidenceQuery[] = [
  { id: 'edges', source: 'flow_buckets', file: 'populations/edges.csv', text: 'flows of the window summed over all dimensions but time, joined with ExpectedGraph' },
  { id: 'certificates', source: 'certificates', file: 'populations/certificates.csv', text: 'SVIDs issued before the end of the window and valid at some time in it' },
  { id: 'changes', source: 'audit_log', file: 'populations/changes.csv', text: 'entries of the hash-chained audit log in the window' },
  { id: 'workloads', source: 'resources', file: 'populations/workloads.csv', text: 'Workload objects when the bundle was made' },
  { id: 'coverage', source: 'coverage', file: 'coverage.json', text: 'stretches of delivered telemetry that touch the window' },
];

/** Gathers the stored facts of a period. */
export async function evidenceModel(sources: Sources, authority: Authority, window: Window, key: KeyObject): Promise<EvidenceModel> {
  const now = sources.now();
  const range = [new Date(window.from), new Date(window.to)] as const;
  const [observation, certificates, changes, denies] = await Promise.all([
    observeWindow(sources, window, 'proof'),
    certificatesBetween(sources.database, ...range),
    auditBetween(sources.database, ...range),
    readDenies(sources.database, window, MAX_DENIES),
  ]);
  const { mesh, flows, coverage } = observation;
  const nothingHeld = new Set<string>();
  return {
    scope: { trustDomain: sources.trustDomain, namespaces: namespacesOf(mesh), approvedIssuers: authority.issuerNames().sort() },
    window,
    generatedAt: now,
    generatorVersion: VERSION,
    keyId: keyIdOf(key),
    populations: {
      workloads: workloadsOf(sources, observation),
      certificates: certificates.map((row) => certificateView(row, nothingHeld, workedUntil(row, certificates, window.to))),
      edges: buildGraph({ window, now, mesh, flows, coverage, limit: Number.MAX_SAFE_INTEGER }).edges,
      exceptions: exceptionsOf(sources),
      changes: changes.map(({ before: _before, after: _after, ...entry }) => entry),
    },
    observations: { flows, denies: denies.items },
    coverage,
    config: CONFIG_KINDS.flatMap((kind): Resource[] => sources.cache.all(kind)),
    queries: QUERIES,
  };
}

/** When an SVID stopped working: at its successor's issue, or not yet. Age after that says nothing about rotation. */
function workedUntil(row: Certificate, all: readonly Certificate[], end: number): number {
  const successor = all.find((next) => next.issuedAt > row.issuedAt && next.proxy === row.proxy && next.namespace === row.namespace && next.workload === row.workload);
  return Math.min(successor?.issuedAt.getTime() ?? end, end);
}

function workloadsOf(sources: Sources, observation: Observation): EvidenceModel['populations']['workloads'] {
  const policies = storedPolicies(sources);
  const allows = policies.authorizationPolicies.filter(({ spec }) => spec.action === 'ALLOW' && spec.enforcement === 'Enforce');
  return ownWorkloads(observation.mesh.workloads).map((workload) => ({
    ...workload,
    mode: namespaceMode([workload], workload.namespace, policies).mode,
    underPolicy: allows.some((policy) => bearsOn(policy, workload, policies)),
  }));
}

/** What stands outside on purpose or by neglect; owner and expiry come from the object's annotations, or are missing. */
function exceptionsOf(sources: Sources): EvidenceException[] {
  const note = (object: Resource, key: string) => object.metadata.annotations?.[`sallyport.dev/${key}`] ?? '';
  const entry = (kind: string, object: Resource, reason: string): EvidenceException => ({
    kind,
    subject: `${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`,
    owner: note(object, 'owner'),
    reason: note(object, 'reason') || reason,
    expires: note(object, 'expires'),
  });
  const outside = sources.cache.all('Workload').filter((workload) => workload.spec.proxy === undefined && workload.spec.spiffeId === undefined);
  const shadow = sources.cache.all('AuthorizationPolicy').filter((policy) => policy.spec.enforcement === 'DryRun');
  return [
    ...outside.map((workload) => entry('unmeshed-workload', workload, 'no proxy serves it')),
    ...shadow.map((policy) => entry('dry-run-policy', policy, 'evaluated, not enforced')),
  ];
}
