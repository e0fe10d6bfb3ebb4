import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { until } from '../apps/operator/src/testing/until.ts';
import '../apps/operator/src/testing/provided.ts';
import { type Programs, programs } from './kube/helm.ts';

const CHART = join(import.meta.dirname, '../charts/sallyport');
const NAMESPACE = 'chart-release';
const SECOND = 'chart-second';
const VALUES = ['--values', join(CHART, 'ci/minimal-values.yaml')];
const RELEASE = [NAMESPACE, CHART, '--namespace', NAMESPACE, ...VALUES];
/** What Kubernetes itself makes and forgets. */
const PASSING = /^(event|endpointslice|endpoints|serviceaccount\/default$)/;
let tools: Programs;

beforeAll(async () => {
  tools = programs(inject('kubeAssets'), inject('kubeconfig'));
  await tools.run('kubectl', ['create', 'namespace', NAMESPACE]);
});
afterAll(() => tools.close());

/** Everything in our namespace, and what belongs to our releases in none, as `resource/name`; others use the cluster too. */
async function everything(): Promise<string[]> {
  const names = async (...args: string[]) => (await tools.run('kubectl', args)).trim().split('\n').filter((line) => line !== '');
  const types = async (namespaced: boolean) => (await names('api-resources', '--verbs=list', `--namespaced=${namespaced}`, '-o', 'name')).join();
  const inside = await names('get', await types(true), '--namespace', NAMESPACE, '-o', 'name');
  const outside = await names('get', await types(false), '-o', 'name');
  return [...inside.filter((name) => !PASSING.test(name)), ...outside.filter((name) => name.includes(NAMESPACE) || name.includes(SECOND))].sort();
}

describe('a release', () => {
  let before: string[];
  const added = async () => (await everything()).filter((name) => !before.includes(name));

  beforeAll(async () => {
    before = await everything();
    await tools.run('helm', ['install', ...RELEASE]);
  });

  it('has an operator, a console and what they need', async () => {
    const objects = await added();
    for (const name of ['operator', 'console'] as const) {
      for (const type of ['deployment.apps', 'service', 'serviceaccount', 'poddisruptionbudget.policy', 'networkpolicy.networking.k8s.io']) expect(objects).toContain(`${type}/${NAMESPACE}-sallyport-${name}`);
    }
    expect(objects).toContain(`networkpolicy.networking.k8s.io/${NAMESPACE}-sallyport-default-deny`);
    expect(objects).toContain(`persistentvolumeclaim/${NAMESPACE}-sallyport-operator-state`);
    expect(objects.filter((name) => name.startsWith('daemonset'))).toEqual([]);
  });

  it('says what to do next', async () => {
    const notes = await tools.run('helm', ['get', 'notes', NAMESPACE, '--namespace', NAMESPACE]);
    expect(notes).toContain(`kubectl port-forward service/${NAMESPACE}-sallyport-console`);
    expect(notes).not.toContain('CustomResourceDefinitions are missing');
  });

  it('upgrades to other values, and back by a rollback', async () => {
    await tools.run('helm', ['upgrade', ...RELEASE, '--set', 'operator.replicas=3,operator.state.existingClaim=shared,console.enabled=false,proxy.mode=node,proxy.node.rootsConfigMap=roots']);
    const upgraded = await added();
    expect(upgraded).toContain(`daemonset.apps/${NAMESPACE}-sallyport-node-proxy`);
    expect(upgraded.filter((name) => name.endsWith(`${NAMESPACE}-sallyport-console`))).toEqual([]);
    expect(await tools.run('kubectl', ['get', 'deployment', `${NAMESPACE}-sallyport-operator`, '--namespace', NAMESPACE, '-o', 'jsonpath={.spec.replicas}'])).toBe('3');
    await tools.run('helm', ['rollback', NAMESPACE, '1', '--namespace', NAMESPACE]);
    expect(await added()).toContain(`deployment.apps/${NAMESPACE}-sallyport-console`);
    expect((await added()).filter((name) => name.startsWith('daemonset'))).toEqual([]);
  });

  it('stands beside another in the same namespace', async () => {
    await tools.run('helm', ['install', SECOND, ...RELEASE.slice(1)]);
    expect(await added()).toContain(`deployment.apps/${SECOND}-sallyport-operator`);
    await tools.run('helm', ['uninstall', SECOND, '--namespace', NAMESPACE]);
  });

  it('leaves nothing but the CRDs when it goes', async () => {
    await tools.run('helm', ['uninstall', NAMESPACE, '--namespace', NAMESPACE]);
    expect(await until(added, (names) => names.length === 0)).toEqual([]);
    expect(await tools.run('kubectl', ['get', 'sallyport', '--namespace', NAMESPACE, '--ignore-not-found', '-o', 'name'])).toBe('');
  });

  it('leaves the claim of the CA’s keys when it is told to', async () => {
    await tools.run('helm', ['install', ...RELEASE, '--set', 'operator.state.keepOnUninstall=true']);
    await tools.run('helm', ['uninstall', NAMESPACE, '--namespace', NAMESPACE]);
    expect(await until(added, (names) => names.length === 1)).toEqual([`persistentvolumeclaim/${NAMESPACE}-sallyport-operator-state`]);
  });
});
