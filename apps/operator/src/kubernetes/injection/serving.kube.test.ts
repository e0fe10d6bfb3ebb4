import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testing/until.ts';
import { KubeError } from '../client.ts';
import { CONFIGURATION, ENABLED, InjectedCluster, SYSTEM } from './cluster.fixture.ts';
import type { Pod } from './pod.ts';
import { answerReview } from './review.ts';
import { settings } from './injection.fixture.ts';
import { startWebhookServer, type WebhookServer } from './server.ts';
import { duly, issueServing, WEBHOOK_CA_POLICY } from './webhook-ca.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Certificates of a past start must still be good for the API server, whose clock is the real one. */
const policy = { authority: 400 * DAY, spread: HOUR, serving: 400 * DAY };
const clock = { at: Date.now() - 250 * DAY };
const OTHER = 'zz-other';

let cluster: InjectedCluster;
beforeAll(async () => {
  cluster = await InjectedCluster.start({ policy, now: () => clock.at });
  await cluster.namespace('shop', ENABLED);
  await cluster.namespace('pay');
  await until(() => cluster.whyNot('shop', pod('first')), (why) => why === null);
});
afterAll(() => cluster?.stop());

function pod(name: string, more: object = {}) {
  return { metadata: { name, ...more }, spec: { containers: [{ name: 'web', image: 'shop/web:1' }] } };
}

interface Configuration {
  readonly metadata: { readonly managedFields: readonly { readonly manager: string; readonly fieldsV1: object }[] };
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string; readonly url?: string }; readonly failurePolicy: string }[];
}
async function configuration(): Promise<Configuration> {
  return JSON.parse(await cluster.kubectl(['get', 'mutatingwebhookconfiguration', CONFIGURATION, '-o', 'json', '--show-managed-fields'])) as Configuration;
}
async function bundle(): Promise<string[]> {
  const text = Buffer.from((await configuration()).webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
  return text.match(/-----BEGIN[^]+?END CERTIFICATE-----\n/g) ?? [];
}
/** What the webhook shows, without asking whether it is trusted. */
function shown(): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: cluster.injection.port, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error('no certificate'));
    });
    socket.on('error', reject);
  });
}
const signedBy = async (pem: string | undefined) => pem !== undefined && (await shown()).verify(new X509Certificate(pem).publicKey);

describe('the webhook’s certificate', () => {
  it('is replaced with its CA while pods are created, and none of them is refused', async () => {
    const refused: string[] = [];
    let created = 0;
    const stop = new AbortController();
    const load = Array.from({ length: 3 }, async () => {
      while (!stop.signal.aborted) {
        const why = await cluster.whyNot('shop', pod(`p-${created}`));
        created += 1;
        if (why !== null) refused.push(why);
      }
    });
    const [first] = await bundle();
    expect(await signedBy(first)).toBe(true);
    clock.at += 210 * DAY;
    // The next CA is told to the API server before it signs anything.
    const [, next] = await until(bundle, (all) => all.length === 2);
    const before = created;
    await until(() => Promise.resolve(created), (count) => count > before + 20);
    expect(await signedBy(first)).toBe(true);
    clock.at += 2 * HOUR;
    await until(() => signedBy(next), (signed) => signed);
    const after = created;
    await until(() => Promise.resolve(created), (count) => count > after + 20);
    stop.abort();
    await Promise.all(load);
    expect(refused).toEqual([]);
  });

  it('comes from a CA that replicas share and that is nowhere but in its Secret', async () => {
    const stored = JSON.parse(await cluster.kubectl(['get', 'secret', '-n', SYSTEM, 'sallyport-webhook-ca', '-o', 'json'])) as { data: Record<string, string> };
    const authorities = JSON.parse(Buffer.from(stored.data['authorities.json'] ?? '', 'base64').toString()) as { certificate: string }[];
    expect(authorities.map(({ certificate }) => certificate)).toEqual(await bundle());
  });

  it('is made anew when somebody deleted its CA', async () => {
    const [old] = await bundle();
    await cluster.kubectl(['delete', 'secret', '-n', SYSTEM, 'sallyport-webhook-ca']);
    const [fresh] = await until(bundle, (all) => all.length === 1 && all[0] !== old);
    await until(() => signedBy(fresh), (signed) => signed);
    expect(await until(() => cluster.whyNot('shop', pod('x')), (why) => why === null)).toBeNull();
  });
});

describe('the caBundle', () => {
  it('is the one field of the configuration that the operator owns', async () => {
    const { metadata, webhooks } = await configuration();
    const owned = metadata.managedFields.find(({ manager }) => manager === 'sallyport-injector');
    expect(owned?.fieldsV1).toEqual({ 'f:webhooks': { 'k:{"name":"pods.injector.sallyport.dev"}': { '.': {}, 'f:clientConfig': { 'f:caBundle': {} }, 'f:name': {} } } });
    expect(webhooks[0]?.failurePolicy).toBe('Fail');
  });

  it('stays when the chart is applied again, and comes back when others change it', async () => {
    const good = await bundle();
    await cluster.install();
    expect(await bundle()).toEqual(good);
    await cluster.kubectl(['patch', 'mutatingwebhookconfiguration', CONFIGURATION, '--type=json', '-p', JSON.stringify([{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }])]);
    expect(await until(bundle, (all) => all.length > 0)).toEqual(good);
  });
});

describe('after another webhook', () => {
  let other: WebhookServer;
  beforeAll(async () => {
    const [authority] = await duly([], Date.now(), WEBHOOK_CA_POLICY);
    if (!authority) throw new Error('no CA');
    const { pair } = await issueServing(authority, ['localhost'], Date.now(), WEBHOOK_CA_POLICY);
    const log = pino({ level: 'silent' });
    other = await startWebhookServer({ host: '127.0.0.1', port: 0, pair, log, answer: addAgent });
    const clientConfig = { url: `https://localhost:${other.port}/inject`, caBundle: Buffer.from(authority.certificate).toString('base64') };
    const selector = { matchLabels: { 'kubernetes.io/metadata.name': 'agents' } };
    const webhook = { name: 'agents.example.com', admissionReviewVersions: ['v1'], clientConfig, sideEffects: 'None', namespaceSelector: selector, rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }] };
    await cluster.namespace('agents', ENABLED);
    await cluster.kubectl(['create', '-f', '-'], { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', metadata: { name: OTHER }, webhooks: [webhook] });
  });
  afterAll(async () => {
    await cluster.kubectl(['delete', 'mutatingwebhookconfiguration', OTHER]);
    await other.close();
  });

  /** Adds a container with a probe, and makes an ordinary init container of the proxy, as webhooks of old clients do (istio/istio#52245). */
  function addAgent(review: unknown) {
    const answered = answerReview(review, settings, ['agents']);
    const { request } = review as { request: { uid: string; object: Pod } };
    const agent = { name: 'agent', image: 'agent:1', livenessProbe: { tcpSocket: { port: 9000 } } };
    const present = request.object.spec.containers.some(({ name }) => name === 'agent');
    const lost = request.object.spec.initContainers?.findIndex(({ name, restartPolicy }) => name === 'sallyport-proxy' && restartPolicy !== undefined) ?? -1;
    const patch = [...(present ? [] : [{ op: 'add', path: '/spec/containers/-', value: agent }]), ...(lost >= 0 ? [{ op: 'remove', path: `/spec/initContainers/${lost}/restartPolicy` }] : [])];
    return { ...answered, body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') } } };
  }

  it('the injector is asked again, takes in what that added and brings back what it lost', async () => {
    const dry = () => cluster.create<Pod>('agents', pod('web'), { dryRun: 'All' }).catch((error: unknown) => (error instanceof KubeError ? null : Promise.reject(error)));
    const stored = await until(dry, (value) => value?.spec.containers.some(({ name }) => name === 'agent') === true);
    expect(stored?.spec.containers.find(({ name }) => name === 'agent')?.livenessProbe?.httpGet?.path).toBe('/app/agent/livenessProbe');
    expect(stored?.spec.initContainers?.find(({ name }) => name === 'sallyport-proxy')?.restartPolicy).toBe('Always');
  });
});

describe('while the injector is down', () => {
  it('only namespaces that asked for proxies wait for it', async () => {
    await cluster.injection.close();
    expect(await cluster.whyNot('shop', pod('a'))).toContain('failed calling webhook "pods.injector.sallyport.dev"');
    expect(await cluster.whyNot('pay', pod('a'))).toBeNull();
    expect(await cluster.whyNot('shop', pod('a', { labels: { 'sallyport.dev/inject': 'false' } }))).toBeNull();
    await cluster.restart();
    // The new process has no certificate of the old one's, and the same CA.
    expect(await until(() => cluster.whyNot('shop', pod('a')), (why) => why === null)).toBeNull();
    expect(cluster.injection.unready()).toEqual([]);
  });

  it('and without its configuration, pods of such namespaces are refused all the same', async () => {
    const before = await bundle();
    await cluster.kubectl(['delete', 'mutatingwebhookconfiguration', CONFIGURATION]);
    expect(await until(() => cluster.whyNot('shop', pod('a')), (why) => why?.includes('ValidatingAdmissionPolicy') === true)).toContain('the pod has no proxy');
    expect(await cluster.whyNot('pay', pod('a'))).toBeNull();
    await cluster.install();
    await until(() => cluster.whyNot('shop', pod('a')), (why) => why === null);
    expect(await bundle()).toEqual(before);
  });
});
