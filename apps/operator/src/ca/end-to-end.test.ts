import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CaView, CertificatesView } from '@sallyport/shared/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../../tools/free-port.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { until } from '../testing/until.ts';
import { CorporateCa, rsaKeysFor } from './parents/corporate.fixture.ts';

/** A real operator and a real proxy, with calls by mutual TLS all the while: every one of them must get through. */
const directory = mkdtempSync(join(tmpdir(), 'ca-end-'));
const files = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
const corporate = new CorporateCa(Date.now);
const app = http.createServer((_request, response) => void response.end('app'));
let operator: TestOperator;
let proxy: ChildProcess;
let port: number;

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const mesh = (ca: object) => doc('Mesh', 'default', null, { trustDomain: 'shop.test', ca, certificates: { leafLifetime: '20s', issuerLifetime: '3m', rootLifetime: '24h' } });
async function apply(...manifests: string[]): Promise<void> {
  const { status, body } = await operator.call('POST', '/apply', { manifest: manifests.join('\n---\n') });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    app.listen(join(directory, 'app.sock'), resolve);
  });
  operator = await startOperator();
  port = await freePort();
  await apply(
    mesh({ selfSigned: {} }),
    doc('Workload', 'api', 'shop', { serviceAccount: 'api', address: '127.0.0.1', proxy: 'node-1', inbound: [{ port, protocol: 'http', app: `unix:${directory}/app.sock` }] }, { app: 'api' }),
    doc('Workload', 'web', 'shop', { serviceAccount: 'web', address: '127.0.0.1', proxy: 'node-1', outbound: [{ protocol: 'http', listen: `unix:${directory}/web.sock` }] }, { app: 'web' }),
    doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80, targetPort: port }] }),
    doc('PeerAuthentication', 'default', 'shop', { mtls: { mode: 'STRICT' } }),
  );
  const { token } = (await operator.call('POST', '/proxies/tokens', { proxy: 'node-1', role: 'node' })).body as { token: string };
  writeFileSync(join(directory, 'token'), token);
  mkdirSync(join(directory, 'state'), { mode: 0o700 });
  const env = {
    PATH: process.env['PATH'] ?? '', SALLYPORT_PROXY: 'node-1', SALLYPORT_ROLE: 'node', SALLYPORT_TRUST_DOMAIN: 'shop.test',
    SALLYPORT_JOIN_URL: operator.joinUrl, SALLYPORT_STREAM_URL: operator.streamUrl, SALLYPORT_JOIN_TOKEN_FILE: join(directory, 'token'),
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(operator.stateDir, 'bundle.pem'), SALLYPORT_STATE_DIR: join(directory, 'state'), SALLYPORT_LOG_LEVEL: 'silent',
  };
  proxy = spawn(process.execPath, [new URL('../../../dataplane/src/main.ts', import.meta.url).pathname], { env, stdio: 'ignore' });
  await until(send, (status) => status === 200);
});
afterAll(async () => {
  proxy.kill('SIGTERM');
  await once(proxy, 'exit');
  await operator.close();
  app.close();
  app.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

function send(): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath: join(directory, 'web.sock'), agent: false, headers: { host: 'api.shop' } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    });
    request.on('error', () => resolve(0));
  });
}

/** Calls all the time until the work is done. @returns the statuses, each once */
async function whileCalling(work: () => Promise<void>): Promise<number[]> {
  const seen = new Set<number>();
  const done = new AbortController();
  const calls = (async () => {
    while (!done.signal.aborted) {
      seen.add(await send());
      await delay(20);
    }
  })();
  await work().finally(() => done.abort());
  await calls;
  return [...seen];
}

const ca = async () => (await operator.call('GET', '/ca')).body as CaView;
const activeIssuer = (view: CaView) => view.certificates.find(({ role, state }) => role === 'issuer' && state === 'active');
/** Until the active issuer is another one, and the proxy serves SVIDs of that. */
async function followed(before: string | undefined): Promise<CaView> {
  const view = await until(ca, (value) => activeIssuer(value)?.id !== before);
  const issuer = activeIssuer(view)?.subject ?? '';
  const served = async () => (await operator.call('GET', '/certificates')).body as CertificatesView;
  const items = await until(served, ({ items: all }) => all.length === 3 && all.every((item) => item.issuer === issuer));
  expect([...new Set(items.items.map((item) => item.issuer))]).toEqual([issuer]);
  return view;
}

describe('no call fails while', () => {
  it('the parent becomes a corporate CA, its files are swapped, and swapped for bad ones', async () => {
    corporate.writeFiles(files);
    let issuer = activeIssuer(await ca())?.id;
    const statuses = await whileCalling(async () => {
      await apply(mesh({ file: files }));
      let view = await followed(issuer);
      expect(activeIssuer(view)).toMatchObject({ parent: 'file', subject: 'mesh intermediate' });
      issuer = activeIssuer(view)?.id;
      corporate.writeFiles(files, {}, rsaKeysFor('mesh intermediate 2', 2048));
      view = await followed(issuer);
      issuer = activeIssuer(view)?.id;
      corporate.writeFiles(files, { kind: { ca: false } });
      view = await until(ca, ({ parent }) => parent.reason === 'ParentRefused');
      expect(view.parent.message).toContain('is no CA');
      expect(activeIssuer(view)?.id).toBe(issuer);
    });
    expect(statuses).toEqual([200]);
  }, 180_000);

  it('we become our own root again, and that is rotated by hand', async () => {
    let issuer = activeIssuer(await ca())?.id;
    const statuses = await whileCalling(async () => {
      await apply(mesh({ selfSigned: {} }));
      issuer = activeIssuer(await followed(issuer))?.id;
      expect((await operator.call('POST', '/ca/rotate-root')).status).toBe(200);
      await followed(issuer);
    });
    expect(statuses).toEqual([200]);
  }, 180_000);
});
