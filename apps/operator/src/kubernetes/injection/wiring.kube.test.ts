import https from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../../../../tools/free-port.ts';
import { startOperator, type TestOperator } from '../../testing/operator.ts';
import { until } from '../../testing/until.ts';
import { CONFIGURATION, InjectedCluster, SYSTEM } from './cluster.fixture.ts';
import { podOf } from './injection.fixture.ts';

let cluster: InjectedCluster;
let operator: TestOperator;
let port = 0;
beforeAll(async () => {
  cluster = await InjectedCluster.start();
  await cluster.injection.close();
  port = await freePort();
  operator = await startOperator({
    environment: {
      SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: SYSTEM, SALLYPORT_POD_NAME: 'operator-0', SALLYPORT_WEBHOOK_PORT: String(port),
      SALLYPORT_PROXY_IMAGE: 'registry.example/proxy:1',
    },
  });
});
afterAll(async () => {
  await operator?.close();
  await cluster?.stop();
});

function call(ca: string, body: object): Promise<string> {
  const servername = `sallyport-operator.${SYSTEM}.svc`;
  return new Promise((resolve, reject) => {
    const request = https.request({ host: '127.0.0.1', port, servername, path: '/inject', method: 'POST', ca, agent: false, headers: { 'content-type': 'application/json' } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => resolve(text));
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

it('an operator serves the webhook by the name of its Service, and gives proxies its own roots', async () => {
  const bundle = async () => Buffer.from(await cluster.kubectl(['get', 'mutatingwebhookconfiguration', CONFIGURATION, '-o', 'jsonpath={.webhooks[0].clientConfig.caBundle}']), 'base64').toString();
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  const body = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid: 'u', kind, operation: 'CREATE', namespace: 'shop', object: podOf() } };
  const text = await until(async () => call(await bundle(), body).catch((error: unknown) => String(error)), (answer) => answer.includes('"patch"'));
  const { response } = JSON.parse(text) as { response: { patch: string } };
  const patch = Buffer.from(response.patch, 'base64').toString();
  expect(patch).toContain('"image":"registry.example/proxy:1"');
  expect(patch).toContain('"sallyport.dev/operator-roots":"-----BEGIN CERTIFICATE-----');
  const { status } = await fetch(`${operator.apiUrl}/readyz`);
  expect(status).toBe(200);
});
