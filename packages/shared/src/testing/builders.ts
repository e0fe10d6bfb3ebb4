import type { Certificate, CoverageView } from '../api/index.ts';
import type { EvidenceModel } from '../evidence/index.ts';
import { buildGraph, type MeshState } from '../graph/index.ts';
import { type DenyEvent, type Flow, type MeshService, type MeshWorkload, type Window, workloadSpiffeId } from '../mesh/index.ts';
import { API_VERSION, type ExpectedGraph } from '../resources/index.ts';
import type { SignalInput } from '../signals/index.ts';

/** The instant at which tests look at the mesh: 2026-01-15T12:00:00Z. */
export const NOW = Date.UTC(2026, 0, 15, 12);
/** The fifteen minutes before {@link NOW}. */
export const WINDOW: Window = { from: NOW - 900_000, to: NOW };

/** A meshed workload `namespace/name` with its own service account, served by proxy `node-a`. */
export function aWorkload(key: string, changes: Partial<MeshWorkload> = {}): MeshWorkload {
  const [namespace = '', name = ''] = key.split('/');
  return {
    namespace,
    name,
    labels: { app: name },
    serviceAccount: name,
    spiffeId: workloadSpiffeId('shop.test', namespace, changes.serviceAccount ?? name),
    address: `10.0.0.${Buffer.from(key).reduce((sum, byte) => (sum * 31 + byte) % 251, 7)}`,
    proxy: 'node-a',
    ports: [{ port: 8080, protocol: 'http' }],
    ...changes,
  };
}

/** A service of the same name as its one workload, port 80 to 8080. */
export function aService(key: string, changes: Partial<MeshService> = {}): MeshService {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name, ports: [{ port: 80, targetPort: 8080, protocol: 'http' }], workloads: [name], ...changes };
}

/** Edges written `namespace/account > namespace/service` or `… > namespace/service:port`. */
export function anExpectedGraph(...edges: string[]): ExpectedGraph {
  return {
    apiVersion: API_VERSION,
    kind: 'ExpectedGraph',
    metadata: { name: 'shop', namespace: 'shop' },
    spec: {
      edges: edges.map((edge) => {
        const [, from = '', serviceAccount = '', to = '', service = '', port] = /^(.+)\/(.+) > (.+)\/([^:]+)(?::(\d+))?$/.exec(edge) ?? [];
        return {
          from: { namespace: from, serviceAccount },
          to: { namespace: to, service, ...(port === undefined ? {} : { port: Number(port) }) },
        };
      }),
    },
  };
}

/** Workloads `shop/web`, `shop/cart` and `pay/card`, each with its service, and what is declared between them. */
export function aMesh(changes: Partial<MeshState> = {}): MeshState {
  return {
    workloads: ['shop/web', 'shop/cart', 'pay/card'].map((key) => aWorkload(key)),
    services: ['shop/web', 'shop/cart', 'pay/card'].map((key) => aService(key)),
    expected: [anExpectedGraph('shop/web > shop/cart', 'shop/cart > pay/card:80')],
    ...changes,
  };
}

type FlowChanges = Partial<Omit<Flow, 'source' | 'destination'>> & {
  readonly source?: Partial<Flow['source']>;
  readonly destination?: Partial<Flow['destination']>;
};

/** Ten allowed mTLS calls `GET /items/{id}` from one workload to another, as the receiver counted them just now. */
export function aFlow(from: string, to: string, changes: FlowChanges = {}): Flow {
  const source = aWorkload(from);
  const [namespace = '', name = ''] = to.split('/');
  return {
    reporter: 'node-a',
    side: 'inbound',
    protocol: 'http',
    method: 'GET',
    path: '/items/{id}',
    samplePath: '/items/7',
    mtls: 'mutual',
    verdict: 'allowed',
    reason: null,
    policy: null,
    count: 10,
    bytesReceived: 1000,
    bytesSent: 2000,
    firstSeen: NOW - 60_000,
    lastSeen: NOW - 1000,
    ...changes,
    source: { principal: source.spiffeId, ip: source.address, ...changes.source },
    destination: { namespace, workload: name, service: name, port: 8080, ...changes.destination },
  };
}

/** Coverage in which every named proxy reported the whole window and is live. */
export function fullCoverage(...names: string[]): CoverageView {
  return {
    proxiesExpected: names.length,
    since: null,
    proxiesReporting: names.length,
    share: names.length === 0 ? null : 1,
    proxies: names.map((name) => ({ name, share: 1, lastReport: new Date(NOW - 1000).toISOString(), live: true, gaps: [] })),
  };
}

/** Nothing is wrong: a mesh whose one proxy reported just now. */
export function aSignalInput(changes: Partial<SignalInput> = {}): SignalInput {
  return {
    now: NOW,
    mesh: aMesh(),
    flows: [],
    denies: [],
    modes: () => ({ mode: 'PERMISSIVE', since: 0 }),
    proxies: [{ name: 'node-a', lastReport: NOW - 1000, enrolledAt: WINDOW.from }],
    svids: [],
    weakenings: [],
    firstSeen: new Map(),
    ...changes,
  };
}

/** `count` denials of `shop/web` by a target, one a second, the last one `ago` ms before {@link NOW}. */
export function denials(count: number, to = 'pay/card', ago = 1000): DenyEvent[] {
  const { source, destination, reporter } = aFlow('shop/web', to);
  const workload = destination.workload ?? '';
  return Array.from({ length: count }, (_, index) => ({
    at: NOW - ago - index * 1000,
    reporter,
    source,
    destination: { ...destination, workload },
    method: 'GET',
    path: '/',
    policy: null,
    reason: 'policy-no-allow' as const,
    traceId: null,
  }));
}

/** Evidence of a quarter of an hour in which every control passes. `keyId` is whatever will sign. */
export function anEvidenceModel(changes: Partial<EvidenceModel> = {}): EvidenceModel {
  const mesh = aMesh();
  const flows = [aFlow('shop/web', 'shop/cart'), aFlow('shop/cart', 'pay/card')];
  const coverage = fullCoverage('node-a');
  const denies = denials(2);
  return {
    scope: { trustDomain: 'shop.test', namespaces: ['shop', 'pay'], approvedIssuers: ['CN=issuing'] },
    window: WINDOW,
    generatedAt: NOW,
    generatorVersion: '0.0.0-test',
    keyId: 'not signed',
    populations: {
      workloads: mesh.workloads.map((workload) => Object.assign({ mode: 'STRICT', underPolicy: true } as const, workload)),
      certificates: mesh.workloads.map((workload) => aCertificate(workload)),
      edges: buildGraph({ window: WINDOW, now: NOW, mesh, flows, coverage }).edges,
      exceptions: [{ kind: 'plaintext', subject: 'old/billing, "legacy"', owner: 'ann', reason: '=HYPERLINK("x")', expires: '' }],
      changes: [
        { seq: 1, at: '2026-01-15T11:50:00.000Z', actor: 'ann', via: 'cli', action: 'apply', resource: 'Service shop/web', previousHash: '00', hash: 'aa' },
        { seq: 2, at: '2026-01-15T11:51:00.000Z', actor: 'bob', via: 'console', action: 'delete', resource: 'Service shop/old', previousHash: 'aa', hash: 'bb' },
      ],
    },
    observations: { flows, denies },
    coverage,
    config: mesh.expected,
    queries: [{ id: 'edges', text: 'SELECT 1', source: 'flow_buckets', file: 'populations/edges.csv' }],
    ...changes,
  };
}

function aCertificate(workload: MeshWorkload): Certificate {
  return {
    spiffeId: workload.spiffeId,
    serial: `0${workload.name.length}`,
    issuer: 'CN=issuing',
    notBefore: '2026-01-15T11:00:00.000Z',
    notAfter: '2026-01-16T11:00:00.000Z',
    lifetimeUsed: 1 / 24,
    workload: workload.name,
    namespace: workload.namespace,
    proxy: 'node-a',
    nextRotation: '2026-01-15T23:00:00.000Z',
    state: 'served',
  };
}
