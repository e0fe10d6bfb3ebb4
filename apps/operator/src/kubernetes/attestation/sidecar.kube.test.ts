import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ClusterPods, type TestPod } from '../../testing/cluster-pods.ts';
import { startOperator, type TestOperator } from '../../testing/operator.ts';
import { startOwnCluster } from '../../testing/own-cluster.ts';
import { until } from '../../testing/until.ts';
import { connectCluster } from '../connect.ts';

/** Three programs start, and what one says after a refusal takes a second. */
const PATIENCE_MS = 120_000;
const MAIN = new URL('../../../../dataplane/src/main.ts', import.meta.url).pathname;
const WEB: TestPod = { namespace: 'shop', name: 'web-7d4b9c', serviceAccount: 'web', node: 'node-a', ips: ['10.1.0.1'], injected: true };

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let operator: TestOperator;
let pods: ClusterPods;
let child: ChildProcess | undefined;
const directory = mkdtempSync(join(tmpdir(), 'sidecar-'));
const tokenFile = join(directory, 'token');

beforeAll(async () => {
  cluster = await startOwnCluster();
  pods = new ClusterPods(connectCluster(cluster.kubeconfig));
  await pods.namespace('sallyport-system');
  await pods.namespace('shop', ['web']);
  await pods.pod(WEB);
  operator = await startOperator({ environment: { SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: 'sallyport-system', SALLYPORT_POD_NAME: 'operator-0', SALLYPORT_WEBHOOK_PORT: '0' } });
}, PATIENCE_MS);
afterAll(async () => {
  child?.kill('SIGKILL');
  await operator?.close();
  await cluster?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A sidecar as the injector starts it. @returns what it says */
function start(): { text: string } {
  const state = join(directory, 'state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const env = {
    SALLYPORT_PROXY: `${WEB.name}.${WEB.namespace}`, SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: 'shop.test', SALLYPORT_JOIN_URL: operator.joinUrl, SALLYPORT_STREAM_URL: operator.streamUrl,
    SALLYPORT_TOKEN_FILE: tokenFile, SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(operator.stateDir, 'bundle.pem'), SALLYPORT_STATE_DIR: state, SALLYPORT_LOG_LEVEL: 'trace',
  };
  const said = { text: '' };
  const started = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk: Buffer) => void (said.text += chunk.toString()));
  child = started;
  return said;
}

async function heard(said: { readonly text: string }, words: string): Promise<void> {
  expect(await until(() => Promise.resolve(said.text), (text) => text.includes(words))).toContain(words);
}

it('a real sidecar gets its identity by a real token, and none once its pod is gone', { timeout: PATIENCE_MS }, async () => {
  writeFileSync(tokenFile, await pods.token(WEB, { audiences: ['https://kubernetes.default.svc'] }));
  const first = start();
  await heard(first, 'operator answered 401 to /v1/attest');
  expect(first.text).not.toContain('SVID installed');
  const good = await pods.token(WEB);
  writeFileSync(tokenFile, good);
  await heard(first, '"spiffeId":"spiffe://shop.test/sallyport/proxy/web-7d4b9c.shop"');
  await heard(first, 'configuration stream open');

  const ended = once(child!, 'exit');
  child?.kill('SIGKILL');
  await ended;
  await pods.remove(WEB.namespace, WEB.name);
  const second = start();
  await heard(second, 'operator answered 401 to /v1/attest');
  expect(second.text).not.toContain('SVID installed');
  for (const { text } of [first, second]) for (const part of readFileSync(tokenFile, 'utf8').split('.')) expect(text).not.toContain(part);
});
