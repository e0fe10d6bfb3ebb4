import type { EvidenceModel, Files } from './model.ts';
import { type Cell, csv, sorted } from './text.ts';

type Population = readonly [columns: readonly string[], rows: (model: EvidenceModel) => Cell[][]];

const POPULATIONS: Readonly<Record<string, Population>> = {
  workloads: [
    ['namespace', 'name', 'service_account', 'spiffe_id', 'address', 'proxy', 'mode', 'under_policy'],
    (model) =>
      model.populations.workloads.map((row) => [
        row.namespace, row.name, row.serviceAccount, row.spiffeId, row.address, row.proxy, row.mode, row.underPolicy,
      ]),
  ],
  identities: [
    ['spiffe_id', 'namespace', 'service_account', 'workloads'],
    (model) =>
      [...Map.groupBy(model.populations.workloads, (row) => row.spiffeId)].map(([id, holders]) => [
        id, holders[0]?.namespace ?? '', holders[0]?.serviceAccount ?? '', holders.map((row) => row.name).sort().join(' '),
      ]),
  ],
  certificates: [
    ['spiffe_id', 'serial', 'issuer', 'not_before', 'not_after', 'next_rotation', 'state', 'namespace', 'workload', 'proxy'],
    (model) =>
      model.populations.certificates.map((row) => [
        row.spiffeId, row.serial, row.issuer, row.notBefore, row.notAfter, row.nextRotation, row.state, row.namespace, row.workload, row.proxy,
      ]),
  ],
  policies: [
    ['kind', 'namespace', 'name', 'generation', 'action', 'enforcement', 'mode'],
    (model) => model.config.flatMap(policyRow),
  ],
  edges: [
    ['source', 'target', 'port', 'protocol', 'state', 'declared', 'requests', 'denied', 'failed', 'mutual', 'plaintext', 'unknown', 'stale', 'last_seen', 'reporters'],
    (model) =>
      model.populations.edges.map((row) => [
        row.source, row.target, row.port, row.protocol, row.state, row.declared, row.requests, row.denied, row.failed,
        row.mtls.mutual, row.mtls.plaintext, row.mtls.unknown, row.stale, row.lastSeen, row.reporters.join(' '),
      ]),
  ],
  exceptions: [
    ['kind', 'subject', 'owner', 'reason', 'expires'],
    (model) => model.populations.exceptions.map((row) => [row.kind, row.subject, row.owner, row.reason, row.expires]),
  ],
  changes: [
    ['seq', 'at', 'actor', 'via', 'action', 'resource', 'previous_hash', 'hash'],
    (model) =>
      model.populations.changes.map((row) => [row.seq, row.at, row.actor, row.via, row.action, row.resource, row.previousHash, row.hash]),
  ],
};

/** `populations/*.csv`: everything that a sample could be drawn from, whole and in a fixed order. */
export function renderPopulations(model: EvidenceModel): Files {
  return new Map(
    Object.entries(POPULATIONS).map(([name, [columns, rows]]) => [`populations/${name}.csv`, csv(columns, sorted(rows(model)))]),
  );
}

function policyRow(resource: EvidenceModel['config'][number]): Cell[][] {
  const { namespace = null, name, generation = null } = resource.metadata;
  const start = [resource.kind, namespace, name, generation];
  if (resource.kind === 'AuthorizationPolicy') return [[...start, resource.spec.action, resource.spec.enforcement, null]];
  if (resource.kind === 'PeerAuthentication') return [[...start, null, null, resource.spec.mtls?.mode ?? 'UNSET']];
  return [];
}
