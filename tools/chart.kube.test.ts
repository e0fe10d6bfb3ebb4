import { Ajv } from 'ajv';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';
import '../apps/operator/src/testing/provided.ts';
import { type Programs, programs, type Rendered } from './kube/helm.ts';
import { OLDER_VERSIONS, OPENAPI_FOLDER } from './kube/openapi.ts';

const CHARTS = join(import.meta.dirname, '../charts');
const CHART = join(CHARTS, 'sallyport');
const VALUES = readdirSync(join(CHART, 'ci'));
const valuesOf = (name: string) => ['--values', join(CHART, 'ci', name)];
const MINIMAL = valuesOf('minimal-values.yaml');
const EVERYTHING = valuesOf('everything-values.yaml');
const NAMESPACE = 'chart-checks';
/** Of other operators, whose definitions are not here: each is optional. */
const FOREIGN = new Set(['postgresql.cnpg.io/v1 Cluster', 'monitoring.coreos.com/v1 ServiceMonitor', 'monitoring.coreos.com/v1 PrometheusRule']);
let tools: Programs;

beforeAll(async () => {
  tools = programs(inject('kubeAssets'), inject('kubeconfig'));
  await tools.run('kubectl', ['create', 'namespace', NAMESPACE]);
  await tools.run('kubectl', ['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted']);
});
afterAll(() => tools.close());

const rendered = (...args: string[]) => tools.render(['mesh', CHART, '--namespace', NAMESPACE, ...args]);
const typeOf = ({ apiVersion, kind }: Rendered) => `${apiVersion} ${kind}`;
const known = (objects: readonly Rendered[]) => objects.filter((object) => !FOREIGN.has(typeOf(object)));

/** `apps/v1 Deployment` as Kubernetes' OpenAPI names it. */
function definitionOf({ apiVersion, kind }: Rendered): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  return `io.k8s.api.${(group ?? '').replace(/\.k8s\.io$/, '').replace('rbac.authorization', 'rbac')}.${version}.${kind}`;
}

describe('helm lint', () => {
  it.each([['sallyport-crds', ''], ...VALUES.map((name) => ['sallyport', name] as const)] as const)('finds nothing in %s %s', async (chart, name) => {
    expect(await tools.run('helm', ['lint', '--strict', join(CHARTS, chart), ...(name === '' ? [] : valuesOf(name))])).toContain('0 chart(s) failed');
  });
});

describe('values', () => {
  it.each([
    ['an unknown one', 'operator.replica=2', 'replica'],
    ['a misspelt part', 'consol.enabled=true', 'consol'],
    ['a mode that is none', 'proxy.mode=ambient', 'mode'],
    ['a privileged port', 'operator.ports.api=80', 'api'],
    ['a digest that is none', 'operator.image.digest=latest', 'digest'],
    ['a trust domain in upper case', 'trustDomain=TD', 'trustDomain'],
    ['no replica', 'operator.replicas=0', 'replicas'],
    ['replicas that cannot share their keys', 'operator.replicas=2', 'ReadWriteMany'],
    ['node mode without roots', 'proxy.mode=node', 'proxy.node.rootsConfigMap'],
    ['metrics without a token', 'metrics.serviceMonitor.enabled=true', 'metrics.serviceMonitor.tokenSecret'],
    ['no database', 'postgresql.existingSecret=', 'postgresql.existingSecret'],
    ['no first sign-in', 'admin.existingSecret=', 'admin.existingSecret'],
  ])('%s is refused by name', async (_, value, named) => {
    await expect(rendered(...MINIMAL, '--set', value)).rejects.toThrow(named);
  });

  it('are all in the schema, which takes no others', () => {
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as ValuesSchema;
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as object;
    expect(unknownValues(values, schema, '')).toEqual([]);
    expect(openObjects(schema, '')).toEqual([]);
  });
});

interface ValuesSchema {
  readonly properties?: Readonly<Record<string, ValuesSchema>>;
  readonly additionalProperties?: unknown;
}

/** Values that the schema does not describe. */
function unknownValues(values: object, { properties = {} }: ValuesSchema, place: string): string[] {
  return Object.entries(values).flatMap(([key, value]: [string, unknown]) => {
    const described = properties[key];
    if (described === undefined) return [`${place}.${key}`];
    return described.properties !== undefined && typeof value === 'object' && value !== null ? unknownValues(value, described, `${place}.${key}`) : [];
  });
}

/** Parts of the schema that name fields and take others too. */
function openObjects({ properties, additionalProperties }: ValuesSchema, place: string): string[] {
  if (properties === undefined) return [];
  return [...(additionalProperties === false ? [] : [place]), ...Object.entries(properties).flatMap(([key, child]) => openObjects(child, `${place}.${key}`))];
}

/** The check of an object by the OpenAPI of a version: what is wrong with it. */
function checkOf(version: string): (object: Rendered) => string[] {
  const { definitions } = JSON.parse(readFileSync(join(OPENAPI_FOLDER, `${version}.json`), 'utf8')) as { definitions: object };
  const ajv = new Ajv({ strict: false, allErrors: true }).addSchema({ $id: 'kubernetes', definitions });
  return (object) => {
    const validate = ajv.getSchema(`kubernetes#/definitions/${definitionOf(object)}`);
    if (validate === undefined) return [`${version} has no ${definitionOf(object)}`];
    return validate(object) ? [] : [`${typeOf(object)} ${object.metadata.name}: ${ajv.errorsText(validate.errors)}`];
  };
}

describe.each(VALUES)('with %s', (name) => {
  it.each(OLDER_VERSIONS)('every object is one of Kubernetes %s', async (version) => {
    const check = checkOf(version);
    const objects = known(await rendered('--kube-version', version, ...valuesOf(name)));
    const deployment = objects.find(({ kind }) => kind === 'Deployment');
    expect(check({ ...deployment, spec: { ...deployment?.spec, replica: 1 } } as unknown as Rendered)).toHaveLength(1);
    expect(objects.flatMap(check)).toEqual([]);
  });

  it('the API server of the newest version takes every object, in a namespace of restricted pods', async () => {
    const objects = known(await rendered(...valuesOf(name)));
    const pods = objects.flatMap(({ metadata, spec }) => (spec?.template === undefined ? [] : [{ apiVersion: 'v1', kind: 'Pod', metadata: { ...spec.template.metadata, name: metadata.name, namespace: NAMESPACE }, spec: { ...spec.template.spec, priorityClassName: undefined } }]));
    expect(pods.length).toBeGreaterThan(1);
    const list = { apiVersion: 'v1', kind: 'List', items: [...objects, ...pods] };
    const said = await tools.run('kubectl', ['create', '--dry-run=server', '--validate=strict', '--filename', '-'], JSON.stringify(list));
    expect(said.trimEnd().split('\n')).toHaveLength(list.items.length);
  });

  it('nothing has a wildcard, and only the operator has a token of the API server', async () => {
    const objects = await rendered(...valuesOf(name));
    expect(objects.flatMap(({ rules }) => rules ?? []).flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]).filter((text) => text.includes('*'))).toEqual([]);
    const mounted = objects.filter(({ spec }) => spec?.template !== undefined && spec.template.spec.automountServiceAccountToken !== false);
    expect(mounted.map(({ metadata }) => metadata.name)).toEqual(['mesh-sallyport-operator']);
  });
});

describe('rendered', () => {
  it('the alerts are those of the documentation', async () => {
    const rule = (await rendered(...EVERYTHING)).find(({ kind }) => kind === 'PrometheusRule');
    expect(JSON.stringify(rule?.spec?.groups)).toContain('SallyportCaExpired');
  });

  it('each selector selects the pods of its part alone', async () => {
    const objects = await rendered(...EVERYTHING);
    const parts = objects.flatMap(({ metadata, spec }) => (spec?.template === undefined ? [] : [[metadata.name, spec.template.metadata.labels['app.kubernetes.io/component']]]));
    expect(parts).toEqual(expect.arrayContaining([['mesh-sallyport-operator', 'operator'], ['mesh-sallyport-console', 'console'], ['mesh-sallyport-node-proxy', 'node-proxy']]));
    expect(new Set(parts.map(([, component]) => component)).size).toBe(parts.length);
  });
});
