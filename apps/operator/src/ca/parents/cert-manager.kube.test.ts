import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { issueCertificate, readCsr } from '@sallyport/shared/pki';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { BUILD_MS, certManager } from '../../../../../tools/kube/cert-manager/build.ts';
import { KubeClient } from '../../kubernetes/client.ts';
import { testCluster } from '../../testing/cluster.ts';
import { until } from '../../testing/until.ts';
import { leadsTo, MINUTE, TestCa, TRUST_DOMAIN } from '../ca.fixture.ts';
import { CertManagerParent } from './cert-manager.ts';
import { CorporateCa, keysFor } from './corporate.fixture.ts';

// cert-manager's own CRDs on a real API server, and its own controllers for approval, issuer and signing by a CA.
const run = promisify(execFile);
const kubectl = async (...args: string[]) => (await run(join(inject('kubeAssets'), 'kubectl'), ['--kubeconfig', inject('kubeconfig'), ...args])).stdout;
const client = new KubeClient(testCluster());
const NAMESPACE = 'pki';
const path = `/apis/cert-manager.io/v1/namespaces/${NAMESPACE}/certificaterequests`;

interface Request {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly request: string; readonly isCA: boolean; readonly usages: string[]; readonly duration: string; readonly issuerRef: object };
}
const requests = async () => ((await client.request({ method: 'GET', path })) as { items: Request[] }).items;
const only = async (): Promise<Request> => {
  const [first, ...more] = await requests();
  if (!first || more.length > 0) throw new Error('expected exactly one CertificateRequest');
  return first;
};
/** What an issuer's controller writes. */
const answer = async (conditions: object[], status: object = {}) => {
  const { metadata: { name } } = await only();
  const marked = conditions.map((each) => ({ lastTransitionTime: new Date().toISOString(), ...each }));
  await client.request({ method: 'PATCH', path: `${path}/${name}/status`, contentType: 'application/merge-patch+json', body: { status: { conditions: marked, ...status } } });
};
const remove = async () => await client.request({ method: 'DELETE', path });
const base64 = (text: string) => Buffer.from(text).toString('base64');

const parentFor = (name: string) => new CertManagerParent({ namespace: NAMESPACE, issuerRef: { name, kind: 'Issuer', group: 'cert-manager.io' } }, TRUST_DOMAIN, () => client);
const HOUR = 60 * MINUTE;
const APPROVED = { type: 'Approved', status: 'True', reason: 'policy', message: 'by the test' };
const READY = { type: 'Ready', status: 'True', reason: 'Issued', message: 'signed' };

let ca: TestCa;
let program = '';
beforeAll(async () => {
  const peer = await certManager();
  if ('missing' in peer) return;
  program = peer.program;
  const crds = peer.crds.flatMap((file) => ['-f', file]);
  await kubectl('create', ...crds);
  await kubectl('wait', '--for=condition=Established', '--timeout=60s', ...crds);
  await kubectl('create', 'namespace', NAMESPACE);
}, BUILD_MS);
beforeEach(async (context) => {
  if (program === '') context.skip();
  ca = new TestCa();
  ca.now = Date.now();
  ca.policy = { leaf: HOUR, issuer: 10 * HOUR, root: 100 * HOUR, manual: false };
  await ca.tick();
});
afterEach(async () => {
  if (program === '') return;
  ca.close();
  await remove();
});

describe('a CertificateRequest', () => {
  let corporate: CorporateCa;
  const signed = async (changes: Parameters<CorporateCa['certify']>[2] = {}, key = async () => readCsr(Buffer.from((await only()).spec.request, 'base64').toString())) =>
    ({ certificate: base64(corporate.certify('from cert-manager', await key(), changes) + corporate.policyPem), ca: base64(corporate.rootPem) });
  const follow = () => {
    ca.parent = parentFor('nobody');
    ca.wanted = 'certManager';
  };
  beforeEach(() => {
    corporate = new CorporateCa(() => ca.now);
    follow();
  });

  it('asks for a CA once, waits for approval and signature, and its answer takes over as any root does', async () => {
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    const { spec } = await only();
    expect(spec).toMatchObject({ isCA: true, usages: ['cert sign', 'crl sign'], duration: '36000s', issuerRef: { name: 'nobody', kind: 'Issuer', group: 'cert-manager.io' } });
    await answer([APPROVED, { type: 'Ready', status: 'False', reason: 'Pending', message: 'IssuerNotFound' }]);
    await expect(ca.tick()).rejects.toThrow('is approved and not signed yet: Pending: IssuerNotFound');
    await answer([APPROVED, READY], await signed());
    await ca.tick();
    const { chain, issuer } = await ca.issue();
    expect(issuer).toBe('from cert-manager');
    expect(leadsTo(chain, ca.authority.roots(), ca.now)).toBe(true);
    expect(leadsTo(chain, [corporate.rootPem], ca.now)).toBe(true);
  });

  it('that was denied is not made again before it is deleted, not even by the next operator', async () => {
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    const first = await only();
    await answer([{ type: 'Denied', status: 'True', reason: 'policy', message: 'not for meshes' }]);
    await expect(ca.tick()).rejects.toThrow('was denied: policy: not for meshes; delete it');
    follow();
    await expect(ca.tick()).rejects.toThrow('was denied: policy: not for meshes; delete it');
    expect((await only()).metadata.name).toBe(first.metadata.name);
    await remove();
    await expect(ca.tick()).rejects.toThrow('is gone without an answer');
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    expect((await only()).metadata.name).not.toBe(first.metadata.name);
  });

  it.each([
    ['failed', [APPROVED, { type: 'Ready', status: 'False', reason: 'Failed', message: 'the CA is locked' }], 'failed: Failed: the CA is locked'],
    ['is invalid', [{ type: 'InvalidRequest', status: 'True', reason: 'Usage', message: 'no such usage' }], 'failed: Usage: no such usage'],
  ])('that %s is told with its reason, and gives way to another one', async (_what, conditions, reason) => {
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    const first = await only();
    await answer(conditions);
    await expect(ca.tick()).rejects.toThrow(reason);
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    expect((await only()).metadata.name).not.toBe(first.metadata.name);
  });

  it.each<[string, () => Promise<object>, RegExp]>([
    ['for another key', () => signed({}, () => Promise.resolve(keysFor('other').publicKey)), /key does not belong/],
    ['for no CA', () => signed({ kind: { ca: false } }), /is no CA/],
    ['that has expired', () => signed({ notBefore: ca.now - 2 * MINUTE, notAfter: ca.now - MINUTE }), /expired at/],
    ['without a certificate', () => Promise.resolve({ certificate: base64('nothing') }), /no certificate in PEM/],
  ])('with an answer %s is refused, and the present CA kept', async (_what, status, reason) => {
    const roots = ca.authority.roots();
    await expect(ca.tick()).rejects.toThrow('waits for its approval');
    await answer([APPROVED, READY], await status());
    await expect(ca.tick()).rejects.toThrow(reason);
    expect(ca.authority.roots()).toEqual(roots);
  });
});

it('says what is missing where it may not ask', async () => {
  ca.parent = new CertManagerParent({ namespace: 'no-such-namespace', issuerRef: { name: 'a', kind: 'Issuer', group: 'cert-manager.io' } }, TRUST_DOMAIN, () => client);
  ca.wanted = 'certManager';
  await expect(ca.tick()).rejects.toThrow(/namespaces "no-such-namespace" not found; check that cert-manager is installed/);
});

describe('cert-manager itself, with a CA issuer', () => {
  let controllers: ChildProcess | undefined;
  beforeAll(async () => {
    if (program === '') return;
    const root = { subject: 'organisation', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
    const template = { subject: root.subject, uri: null, notBefore: Date.now() - MINUTE, notAfter: Date.now() + 1000 * HOUR, serial: Buffer.from([1]), kind: { ca: true, pathLength: null } } as const;
    const data = { 'tls.crt': base64(issueCertificate(template, root.publicKey, root)), 'tls.key': base64(root.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string) };
    await client.request({ method: 'POST', path: `/api/v1/namespaces/${NAMESPACE}/secrets`, body: { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name: 'organisation' }, data } });
    await client.request({ method: 'POST', path: `/apis/cert-manager.io/v1/namespaces/${NAMESPACE}/issuers`, body: { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name: 'organisation' }, spec: { ca: { secretName: 'organisation' } } } });
    controllers = spawn(program, [inject('kubeconfig')], { stdio: 'ignore' });
  });
  afterAll(async () => {
    if (!controllers) return;
    controllers.kill('SIGTERM');
    await once(controllers, 'exit');
  });

  /** The adapter is asked until the controllers have done their part. */
  const settle = async () => expect(await until(() => ca.tick().then(() => 'settled', (error: Error) => error.message), (text) => text === 'settled')).toBe('settled');

  it('approves and signs: the mesh issues under the organisation’s root, and asks anew at half of the life', async () => {
    ca.parent = parentFor('organisation');
    ca.wanted = 'certManager';
    await settle();
    const first = await ca.issue();
    expect(first.issuer).toBe(`${TRUST_DOMAIN} issuing`);
    expect(first.chain).toHaveLength(2);
    expect(leadsTo(first.chain, ca.authority.roots(), ca.now)).toBe(true);
    const { metadata } = await only();
    ca.now += 6 * HOUR;
    await settle();
    const second = await ca.issue();
    expect(second.chain[1]).not.toBe(first.chain[1]);
    expect(leadsTo(second.chain, ca.authority.roots(), ca.now)).toBe(true);
    expect((await only()).metadata.name).not.toBe(metadata.name);
  });
});
