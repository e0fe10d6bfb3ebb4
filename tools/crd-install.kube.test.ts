import { type Kind, KINDS } from '@sallyport/shared/resources';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import '../apps/operator/src/testing/provided.ts';
import { objectOf, sampleOf } from './crd-objects.ts';
import { type Cluster, startCluster } from './kube/cluster.ts';
import { type TestApi, testApi } from './kube/test-api.ts';

const CHART = join(import.meta.dirname, '../charts/sallyport-crds');
const OLDER = join(import.meta.dirname, 'kube/older-crds');
const ALL_KINDS = Object.keys(KINDS) as Kind[];
/** Valid under the older set, and of this meaning today as well. */
const STORED = [
  { kind: 'AuthorizationPolicy', name: 'pay', spec: { action: 'DENY', rules: [{ from: [{ source: { principals: ['td/ns/a/sa/x'] } }], to: [{ operation: { ports: ['80'] } }] }] } },
  { kind: 'PeerAuthentication', name: 'pay', spec: { selector: { matchLabels: { app: 'pay' } }, mtls: { mode: 'STRICT' } } },
  { kind: 'Workload', name: 'pay-1', spec: { serviceAccount: 'pay', address: '10.0.0.1', inbound: [{ port: 80, protocol: 'http', app: '127.0.0.1:80' }] } },
  { kind: 'Service', name: 'pay', spec: { selector: { app: 'pay' }, ports: [{ port: 80 }] } },
  { kind: 'ExpectedGraph', name: 'shop', spec: { edges: [{ from: { serviceAccount: 'a' }, to: { service: 'pay' } }] } },
] as const;
/** The older set took it; today it is refused. */
const WRONG_TODAY = { kind: 'AuthorizationPolicy', name: 'never', spec: { action: 'DENY' } } as const;

let directory: string;
let cluster: Cluster;
let api: TestApi;

async function program(name: 'helm' | 'kubectl', ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(join(inject('kubeAssets'), name), ['--kubeconfig', cluster.kubeconfig, ...args], { env: { ...process.env, HELM_CACHE_HOME: directory, HELM_CONFIG_HOME: directory, HELM_DATA_HOME: directory } });
  return stdout;
}

function pathOf(kind: Kind, name = ''): string {
  return `/apis/sallyport.dev/v1alpha1/${KINDS[kind].namespaced ? 'namespaces/shop/' : ''}${KINDS[kind].plural}${name === '' ? '' : `/${name}`}`;
}

const objectFor = ({ kind, name, spec }: { readonly kind: Kind; readonly name: string; readonly spec: object }) => objectOf({ kind, name, spec, metadata: { name }, zod: 'takes', crd: 'takes' });

async function established(): Promise<void> {
  await program('kubectl', 'wait', '--for=condition=Established', '--timeout=60s', ...ALL_KINDS.map((kind) => `crd/${KINDS[kind].plural}.sallyport.dev`));
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-crds-'));
  cluster = await startCluster(inject('kubeAssets'), directory);
  api = testApi(cluster.kubeconfig);
  const older = join(directory, 'older');
  mkdirSync(older);
  writeFileSync(join(older, 'Chart.yaml'), 'apiVersion: v2\nname: sallyport-crds\nversion: 0.0.1\n');
  cpSync(OLDER, join(older, 'templates'), { recursive: true });
  await program('helm', 'install', 'crds', older, '--namespace', 'sallyport-system', '--create-namespace');
  await program('kubectl', 'wait', '--for=condition=Established', '--timeout=60s', '-f', OLDER);
  await program('kubectl', 'create', 'namespace', 'shop');
  for (const each of [...STORED, WRONG_TODAY]) await api.ask('POST', pathOf(each.kind), objectFor(each));
  await program('helm', 'upgrade', 'crds', CHART, '--namespace', 'sallyport-system');
  await established();
});
afterAll(async () => {
  api.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('an upgrade of the CRDs with objects that are stored', () => {
  it.each(STORED)('keeps a $kind as it was written, with the defaults of today', async (each) => {
    const { status, body } = await api.ask('GET', pathOf(each.kind, each.name));
    expect({ status, spec: body['spec'] }).toMatchObject({ status: 200, spec: each.spec });
    expect((await api.ask('PUT', pathOf(each.kind, each.name), body)).status).toBe(200);
  });

  it('lets an object that is wrong today get a status and labels, and demands a right spec with the next change of it', async () => {
    const path = pathOf(WRONG_TODAY.kind, WRONG_TODAY.name);
    const merge = (body: object, at = path) => api.ask('PATCH', `${at}?fieldManager=test`, body, 'application/merge-patch+json');
    expect((await merge({ metadata: { labels: { seen: 'yes' } } })).status).toBe(200);
    expect((await merge({ status: { observedGeneration: 1 } }, `${path}/status`)).status).toBe(200);
    expect(await merge({ spec: { enforcement: 'DryRun' } })).toMatchObject({ status: 422, body: { message: expect.stringContaining('only an ALLOW policy may be without rules') as unknown } });
    expect((await merge({ spec: { rules: [{}] } })).status).toBe(200);
  });

  it('brings the kinds that are new', async () => {
    expect(await Promise.all(ALL_KINDS.map(async (kind) => (await api.ask('GET', pathOf(kind))).status))).toEqual(ALL_KINDS.map(() => 200));
  });

  it('survives that the chart is uninstalled and installed again', async () => {
    await program('helm', 'uninstall', 'crds', '--namespace', 'sallyport-system');
    for (const each of STORED) expect((await api.ask('GET', pathOf(each.kind, each.name))).status).toBe(200);
    await program('helm', 'install', 'crds', CHART, '--namespace', 'sallyport-system');
    for (const each of STORED) expect((await api.ask('GET', pathOf(each.kind, each.name))).status).toBe(200);
  });
});

describe('the status subresource', () => {
  const path = pathOf('PeerAuthentication', 'pay');
  const status = { observedGeneration: 2, conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'it is valid', observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' }] };

  it('counts changes of spec alone as generations, and takes what the operator saw', async () => {
    const before = (await api.ask('GET', path)).body as { metadata: { generation: number } };
    const written = await api.ask('PATCH', `${path}/status`, { status, spec: { mtls: { mode: 'DISABLE' } } }, 'application/merge-patch+json');
    expect(written).toMatchObject({ status: 200, body: { status, spec: { mtls: { mode: 'STRICT' } }, metadata: { generation: before.metadata.generation } } });
    const changed = await api.ask('PATCH', path, { spec: { mtls: { mode: 'PERMISSIVE' } }, status: { observedGeneration: 9 } }, 'application/merge-patch+json');
    expect(changed).toMatchObject({ status: 200, body: { status, metadata: { generation: before.metadata.generation + 1 } } });
  });

  it('refuses two conditions of one type', async () => {
    const twice = await api.ask('PATCH', `${path}/status`, { status: { conditions: [...status.conditions, ...status.conditions] } }, 'application/merge-patch+json');
    expect(twice).toMatchObject({ status: 422, body: { message: expect.stringContaining('Duplicate value') as unknown } });
  });
});

describe('kubectl', () => {
  const COLUMNS: Readonly<Record<Kind, string>> = {
    Mesh: 'NAME TRUST-DOMAIN COMPATIBILITY ACCEPTED CERTIFICATEAUTHORITY AGE',
    Workload: 'NAMESPACE NAME SERVICE-ACCOUNT PROXY ADDRESS ACCEPTED PROGRAMMED AGE',
    Service: 'NAMESPACE NAME PORTS ACCEPTED PROGRAMMED AGE',
    PeerAuthentication: 'NAMESPACE NAME MODE ACCEPTED PROGRAMMED AGE',
    AuthorizationPolicy: 'NAMESPACE NAME ACTION ENFORCEMENT ACCEPTED PROGRAMMED AGE',
    RequestAuthentication: 'NAMESPACE NAME ISSUER ACCEPTED PROGRAMMED AGE',
    TrafficPolicy: 'NAMESPACE NAME SERVICES ACCEPTED PROGRAMMED AGE',
    ExpectedGraph: 'NAMESPACE NAME ACCEPTED RESOLVEDREFS AGE',
    FederatedTrustDomain: 'NAME TRUST-DOMAIN PROFILE ACCEPTED BUNDLEFETCHED AGE',
  };
  const words = (line: string | undefined) => line?.trim().split(/\s{2,}/);

  it.for(ALL_KINDS)('shows the columns of %s, by its whole name and by its short one', async (kind) => {
    const name = `shown-${kind.toLowerCase()}`;
    await api.ask('POST', pathOf(kind), objectFor({ kind, name, spec: sampleOf(kind).spec as object }));
    for (const resource of [`${KINDS[kind].plural}.sallyport.dev`, KINDS[kind].short]) {
      const [head, ...rows] = (await program('kubectl', 'get', resource, '-A')).trimEnd().split('\n');
      expect(words(head)?.join(' ')).toBe(COLUMNS[kind]);
      expect(rows.some((row) => row.includes(name))).toBe(true);
    }
  });

  it('reads well', async () => {
    await api.ask('PATCH', `${pathOf('AuthorizationPolicy', 'pay')}/status`, { status: { observedGeneration: 1, conditions: ['Accepted', 'Programmed'].map((type) => ({ type, status: 'True', reason: type, message: '', observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' })) } }, 'application/merge-patch+json');
    const rows = (await program('kubectl', 'get', 'authorizationpolicies.sallyport.dev', '-A')).split('\n').map(words);
    expect(rows.find((row) => row?.[1] === 'pay')?.slice(0, 6)).toEqual(['shop', 'pay', 'DENY', 'Enforce', 'True', 'True']);
  });

  it('knows them all by their category, and explains each field', async () => {
    const category = await program('kubectl', 'get', 'sallyport', '-A', '-o', 'name');
    for (const { kind, name } of STORED) expect(category).toContain(`${kind.toLowerCase()}.sallyport.dev/${name}`);
    expect(await program('kubectl', 'explain', 'authorizationpolicies.sallyport.dev.spec.rules.from.source.principals')).toContain('Peer identities without');
  });
});
