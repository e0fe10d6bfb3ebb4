import https from 'node:https';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patched, podOf, settings } from './injection.fixture.ts';
import type { PatchOperation } from './json-patch.ts';
import { answerReview } from './review.ts';
import { startWebhookServer, type WebhookServer } from './server.ts';
import { duly, issueServing, type WebhookAuthority, WEBHOOK_CA_POLICY } from './webhook-ca.ts';

const broken = { why: '' };
let authority: WebhookAuthority;
let server: WebhookServer;
const pair = async () => (await issueServing(authority, ['localhost'], Date.now(), WEBHOOK_CA_POLICY)).pair;
beforeAll(async () => {
  const [made] = await duly([], Date.now(), WEBHOOK_CA_POLICY);
  if (!made) throw new Error('no CA');
  authority = made;
  const answer = (review: unknown) => {
    if (broken.why !== '') throw new Error(broken.why);
    return answerReview(review, settings, ['kube-system']);
  };
  server = await startWebhookServer({ host: '127.0.0.1', port: 0, pair: await pair(), answer, log: pino({ level: 'silent' }) });
});
afterAll(() => server?.close());

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly type?: string;
}
function send(body: string | object, { method = 'POST', path = '/inject?timeout=5s', type = 'application/json' }: Sent = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: 'localhost', port: server.port, path, method, ca: authority.certificate, agent: false, headers: { 'content-type': type } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const object = podOf();
function review(request: object = {}, rest: object = {}) {
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: 'u-1', kind, operation: 'CREATE', namespace: 'shop', object, ...request }, ...rest };
}
interface Answer {
  readonly apiVersion: string;
  readonly response: { readonly uid: string; readonly allowed: boolean; readonly patch?: string; readonly patchType?: string; readonly warnings?: string[]; readonly status?: { readonly message: string; readonly code: number } };
}
const answerOf = async (body: object): Promise<Answer['response']> => (JSON.parse((await send(body)).text) as Answer).response;

describe('a review', () => {
  it('is answered with a patch that gives the pod its proxy', async () => {
    const { uid, allowed, patch = '', patchType } = await answerOf(review());
    expect([uid, allowed, patchType]).toEqual(['u-1', true, 'JSONPatch']);
    const operations = JSON.parse(Buffer.from(patch, 'base64').toString()) as PatchOperation[];
    expect(patched(object, operations)).toMatchObject({ spec: { initContainers: [{ name: 'sallyport-redirect' }, { name: 'sallyport-proxy' }] } });
    const again = await answerOf(review({ object: patched(object, operations) as object }));
    expect(again).toMatchObject({ allowed: true });
    expect(again).not.toHaveProperty('patch');
  });

  it('brings warnings to who creates the pod', async () => {
    const { warnings } = await answerOf(review({ object: podOf({}, { shareProcessNamespace: true }) }));
    expect(warnings).toEqual([expect.stringMatching(/^Sallyport: shareProcessNamespace/)]);
  });

  it.each([[{ namespace: 'kube-system' }], [{ object: podOf({}, {}, { labels: { 'sallyport.dev/inject': 'false' } }) }]])('of a pod that is to have none changes nothing: %o', async (request) => {
    expect(await answerOf(review(request))).toEqual({ uid: 'u-1', allowed: true });
  });

  it.each([
    [podOf({}, { hostNetwork: true }), /^Sallyport: the pod uses the network of its node/],
    [{ metadata: {}, spec: {} }, /could not be read: spec.containers/],
    [{ metadata: {}, spec: { containers: [{ name: 'a', livenessProbe: { httpGet: { port: {} } } }] } }, /could not be read: spec.containers.0.livenessProbe/],
  ])('of a pod that cannot have one is a no with its reason (%#)', async (refused, message) => {
    const { allowed, status } = await answerOf(review({ object: refused }));
    expect(allowed).toBe(false);
    expect(status).toMatchObject({ code: 422 });
    expect(status?.message).toMatch(message);
  });
});

describe('what is no review', () => {
  it.each([
    [review({}, { apiVersion: 'admission.k8s.io/v1beta1' })],
    [review({ operation: 'UPDATE' })],
    [review({ kind: { group: 'apps', version: 'v1', kind: 'Deployment' } })],
    [review({ subResource: 'ephemeralcontainers' })],
    [review({ uid: '' })],
    [review({ object: null })],
    [[]],
  ])('gets 400, so that the webhook’s failurePolicy decides (%#)', async (body) => {
    expect((await send(body)).status).toBe(400);
  });

  it.each([
    ['{', {}, 400],
    ['x'.repeat(4 * 1024 * 1024 + 1), {}, 413],
    ['{}', { method: 'PUT' }, 405],
    ['{}', { path: '/' }, 404],
    ['{}', { type: 'text/plain' }, 415],
  ])('gets what HTTP has for it (%#)', async (body, sent, status) => {
    expect((await send(body, sent)).status).toBe(status);
  });
});

it('says 500 when it fails itself, and never yes', async () => {
  broken.why = 'no root yet';
  expect(await send(review())).toEqual({ status: 500, text: 'no root yet\n' });
  broken.why = '';
  expect((await send(review())).status).toBe(200);
});

it('shows a new certificate without a restart', async () => {
  const [next] = await duly([], Date.now(), WEBHOOK_CA_POLICY);
  if (next) authority = next;
  await expect(send(review())).rejects.toThrow(/certificate/);
  server.renew(await pair());
  expect((await send(review())).status).toBe(200);
});
