import { KINDS, type Kind } from '@sallyport/shared/resources';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import '../apps/operator/src/testing/provided.ts';
import { objectOf, sampleOf } from './crd-objects.ts';
import { type Programs, programs } from './kube/helm.ts';
import { type TestApi, testApi } from './kube/test-api.ts';

const CHART = join(import.meta.dirname, '../charts/sallyport');
const NAMESPACE = 'chart-rights';
const ELSEWHERE = 'chart-rights-shop';
const ACCOUNTS = { operator: `${NAMESPACE}-sallyport-operator`, console: `${NAMESPACE}-sallyport-console`, proxy: `${NAMESPACE}-sallyport-node-proxy` } as const;
const PLURALS = Object.values(KINDS).map(({ plural }) => plural).sort();

/** All that the operator may do anywhere: `verb resource.group/name`. */
const EVERYWHERE = [
  ...PLURALS.flatMap((plural) => ['create', 'delete', 'get', 'list', 'patch', 'watch'].map((verb) => `${verb} ${plural}.sallyport.dev`)),
  ...PLURALS.map((plural) => `patch ${plural}/status.sallyport.dev`),
  ...['pods', 'services', 'namespaces', 'serviceaccounts', 'endpointslices.discovery.k8s.io'].flatMap((resource) => ['get', 'list', 'watch'].map((verb) => `${verb} ${resource}`)),
  'create tokenreviews.authentication.k8s.io',
  'create events.events.k8s.io', 'patch events.events.k8s.io',
  ...['get', 'patch'].map((verb) => `${verb} mutatingwebhookconfigurations.admissionregistration.k8s.io/${NAMESPACE}-sallyport-injector`),
];
/** And besides, in its own namespace. */
const AT_HOME = [
  'create leases.coordination.k8s.io', ...['get', 'patch', 'update'].map((verb) => `${verb} leases.coordination.k8s.io/sallyport-operator`),
  'create secrets', ...['get', 'patch', 'update'].map((verb) => `${verb} secrets/sallyport-webhook-ca`),
];

interface Rules {
  readonly status: { readonly incomplete: boolean; readonly resourceRules: readonly { readonly verbs: string[]; readonly apiGroups?: string[]; readonly resources?: string[]; readonly resourceNames?: string[] }[] };
}

let tools: Programs;
const apis = new Map<string, TestApi>();


function as(account: string): TestApi {
  const api = apis.get(account);
  if (api === undefined) throw new Error(`no account ${account}`);
  return api;
}

beforeAll(async () => {
  tools = programs(inject('kubeAssets'), inject('kubeconfig'));
  for (const name of [NAMESPACE, ELSEWHERE]) await tools.run('kubectl', ['create', 'namespace', name]);
  await tools.run('kubectl', ['create', 'serviceaccount', 'nobody', '--namespace', NAMESPACE]);
  await tools.run('helm', ['install', NAMESPACE, CHART, '--namespace', NAMESPACE, '--values', join(CHART, 'ci/minimal-values.yaml'), '--set', 'proxy.mode=node,proxy.node.rootsConfigMap=roots']);
  for (const account of ['nobody', ...Object.values(ACCOUNTS)]) {
    apis.set(account, testApi(inject('kubeconfig'), (await tools.run('kubectl', ['create', 'token', account, '--namespace', NAMESPACE])).trim()));
  }
});
afterAll(async () => {
  for (const api of apis.values()) api.close();
  await tools.run('helm', ['uninstall', NAMESPACE, '--namespace', NAMESPACE]);
  tools.close();
});

/** What the API server says that an account may do in a namespace. */
async function rightsOf(account: string, namespace: string): Promise<string[]> {
  const { body } = await as(account).ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } });
  const { status } = body as unknown as Rules;
  expect(status.incomplete).toBe(false);
  const rights = status.resourceRules.flatMap(({ verbs, apiGroups = [''], resources = [], resourceNames = [''] }) =>
    verbs.flatMap((verb) => apiGroups.flatMap((group) => resources.flatMap((resource) => resourceNames.map((name) => `${verb} ${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : `/${name}`}`)))));
  return [...new Set(rights)].sort();
}

/** Beyond what the cluster gives to everybody who signs in. */
async function ownRights(account: string, namespace: string): Promise<string[]> {
  const everybody = new Set(await rightsOf('nobody', namespace));
  return (await rightsOf(account, namespace)).filter((right) => !everybody.has(right));
}

describe('the operator', () => {
  it('may do what it does and nothing else, in each namespace', async () => {
    expect(await ownRights(ACCOUNTS.operator, ELSEWHERE)).toEqual([...EVERYWHERE].sort());
  });

  it('may lead and keep the webhook’s CA in its own namespace besides', async () => {
    expect(await ownRights(ACCOUNTS.operator, NAMESPACE)).toEqual([...EVERYWHERE, ...AT_HOME].sort());
  });

  it.for(Object.keys(KINDS) as Kind[])('can keep a %s and its status', async (kind) => {
    const api = as(ACCOUNTS.operator);
    const { plural, namespaced } = KINDS[kind];
    const path = `/apis/sallyport.dev/v1alpha1/${namespaced ? `namespaces/${ELSEWHERE}/` : ''}${plural}/rights`;
    const object = { ...objectOf(sampleOf(kind)), metadata: { name: 'rights' } };
    const { apiVersion } = object as unknown as { apiVersion: string };
    const apply = (at: string, body: object) => api.ask('PATCH', `${at}?fieldManager=sallyport-test&force=true`, body, 'application/apply-patch+yaml');
    expect((await apply(path, object)).status).toBe(201);
    expect((await apply(`${path}/status`, { apiVersion, kind, metadata: { name: 'rights' }, status: { observedGeneration: 1 } })).status).toBe(200);
    expect((await api.ask('DELETE', path)).status).toBe(200);
  });

  it.each([
    ['read a Secret of another', 'GET', `/api/v1/namespaces/${NAMESPACE}/secrets/database`],
    ['list Secrets', 'GET', `/api/v1/namespaces/${NAMESPACE}/secrets`],
    ['read Secrets elsewhere', 'GET', `/api/v1/namespaces/${ELSEWHERE}/secrets/sallyport-webhook-ca`],
    ['make a pod', 'POST', `/api/v1/namespaces/${ELSEWHERE}/pods`],
    ['give rights', 'POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
    ['change another webhook', 'PATCH', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/other'],
    ['make itself a token', 'POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default/token`],
    ['change the definitions', 'PATCH', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/meshes.sallyport.dev'],
  ] as const)('cannot %s', async (_, method, path) => {
    expect((await as(ACCOUNTS.operator).ask(method, path, method === 'GET' ? undefined : {}, method === 'PATCH' ? 'application/merge-patch+json' : undefined)).status).toBe(403);
  });
});

describe('tokens of others', () => {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 'x', audiences: ['sallyport.dev'] } };

  it('are reviewed by the operator', async () => {
    expect((await as(ACCOUNTS.operator).ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review)).status).toBe(201);
  });

  it.each([ACCOUNTS.console, ACCOUNTS.proxy])('and not by %s, who has no right at all', async (account) => {
    expect((await as(account).ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review)).status).toBe(403);
    expect([...(await ownRights(account, NAMESPACE)), ...(await ownRights(account, ELSEWHERE))]).toEqual([]);
  });
});
