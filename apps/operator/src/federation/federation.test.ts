import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaView, NamespaceDetail, OverviewView } from '@sallyport/shared/api';
import { readSpiffeBundle } from '@sallyport/shared/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../../tools/free-port.ts';
import { spiffeTool } from '../../../../tools/spiffe/build.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { until } from '../testing/until.ts';

// Two operators with a proxy each, in two trust domains: ours calls theirs.
const tool = await spiffeTool();
const directory = mkdtempSync(join(tmpdir(), 'federation-'));
const children: ChildProcess[] = [];
let shop: TestOperator;
let bank: TestOperator;
let port: number;
let app: http.Server;

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });

async function apply(operator: TestOperator, ...manifests: string[]): Promise<void> {
  const { status, body } = await operator.call('POST', '/apply', { manifest: manifests.join('\n---\n') });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** The bundle of an operator, read without asking who serves it: as somebody would exchange it by other means. */
function bundleOf(operator: TestOperator): Promise<string> {
  return new Promise((resolve, reject) => {
    https.get(operator.bundleUrl ?? '', { rejectUnauthorized: false, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      }).once('end', () => resolve(text));
    }).once('error', reject);
  });
}

async function federate(operator: TestOperator, trustDomain: string, other: TestOperator, change: object = {}): Promise<void> {
  const bundleEndpointProfile = { type: 'https_spiffe', endpointSPIFFEID: `spiffe://${trustDomain}/sallyport/operator` };
  const spec = { trustDomain, bundleEndpointURL: other.bundleUrl, bundleEndpointProfile, trustDomainBundle: await bundleOf(other), ...change };
  await apply(operator, doc('FederatedTrustDomain', trustDomain.replace('.', '-'), null, spec));
}

async function proxyOf(operator: TestOperator, trustDomain: string): Promise<void> {
  const { token } = (await operator.call('POST', '/proxies/tokens', { proxy: 'node-1', role: 'node' })).body as { token: string };
  const file = (name: string) => join(directory, `${trustDomain}.${name}`);
  writeFileSync(file('token'), token);
  const env = {
    PATH: process.env['PATH'] ?? '', SALLYPORT_PROXY: 'node-1', SALLYPORT_ROLE: 'node', SALLYPORT_TRUST_DOMAIN: trustDomain,
    SALLYPORT_JOIN_URL: operator.joinUrl, SALLYPORT_STREAM_URL: operator.streamUrl, SALLYPORT_JOIN_TOKEN_FILE: file('token'),
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(operator.stateDir, 'bundle.pem'), SALLYPORT_STATE_DIR: file('state'), SALLYPORT_LOG_LEVEL: 'silent',
    SALLYPORT_WORKLOAD_API_LISTEN: `unix://${file('workload-api')}`,
  };
  children.push(spawn(process.execPath, [new URL('../../../dataplane/src/main.ts', import.meta.url).pathname], { env, stdio: 'ignore' }));
}

function call(): Promise<number> {
  return new Promise((resolve) => {
    http.get({ socketPath: join(directory, 'web.sock'), agent: false, headers: { host: 'ledger.bank' } }, (answer) => resolve(answer.resume().statusCode ?? 0)).once('error', () => resolve(0));
  });
}

/** Waits until there is something; fails with what was waited for. */
async function eventually<T>(what: string, read: () => Promise<T>): Promise<Exclude<T, false | undefined | null>> {
  const value = await until(read, (each) => each !== false && each !== undefined && each !== null);
  if (value === false || value === undefined || value === null) throw new Error(`waited in vain for: ${what}`);
  return value as Exclude<T, false | undefined | null>;
}

/** Calls until that is the answer, or it is clear that it will not be. */
const callUntil = (status: number) => until(call, (answer) => answer === status);

/** Whether the call comes to fail on its way. In TLS 1.3 a caller may hear of its refusal before the request or after it. */
const refused = async () => [502, 503].includes(await until(call, (answer) => answer === 502 || answer === 503));

interface Conditions {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[] };
}
async function condition(operator: TestOperator, name: string, type: string) {
  const { body } = await operator.call('GET', `/resources/FederatedTrustDomain/${name}`);
  return (body as Conditions).status?.conditions?.find((each) => each.type === type);
}

beforeAll(async () => {
  app = http.createServer((_req, res) => void res.end('ledger'));
  await new Promise<void>((resolve) => app.listen(join(directory, 'app.sock'), resolve));
  [shop, bank] = await Promise.all([
    startOperator({ environment: { SALLYPORT_BUNDLE_PORT: '0' } }),
    startOperator({ environment: { SALLYPORT_BUNDLE_PORT: '0', SALLYPORT_TRUST_DOMAIN: 'bank.test' } }),
  ]);
  port = await freePort();
  const jwks = { allowedHosts: ['127.0.0.1'] };
  await apply(shop,
    doc('Mesh', 'default', null, { trustDomain: 'shop.test', jwks }),
    doc('Workload', 'web', 'shop', { serviceAccount: 'web', address: '127.0.0.1', proxy: 'node-1', outbound: [{ protocol: 'http', listen: `unix:${directory}/web.sock` }], workloadApi: { uids: [process.getuid?.() ?? 0] } }),
    doc('Workload', 'ledger', 'bank', { serviceAccount: 'ledger', address: '127.0.0.1', spiffeId: 'spiffe://bank.test/ns/money/sa/ledger' }, { app: 'ledger' }),
    doc('Service', 'ledger', 'bank', { selector: { app: 'ledger' }, ports: [{ port: 80, targetPort: port }] }),
  );
  await apply(bank,
    doc('Mesh', 'default', null, { trustDomain: 'bank.test', jwks }),
    doc('Workload', 'ledger', 'money', { serviceAccount: 'ledger', address: '127.0.0.1', proxy: 'node-1', inbound: [{ port, protocol: 'http', app: `unix:${directory}/app.sock` }] }, { app: 'ledger' }),
    doc('PeerAuthentication', 'default', 'money', { mtls: { mode: 'STRICT' } }),
  );
  await Promise.all([proxyOf(shop, 'shop.test'), proxyOf(bank, 'bank.test')]);
  // Two operators and two proxies start at once: as long as the hook may take.
  while (!(await refused()));
}, 120_000);
afterAll(async () => {
  for (const child of children) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await Promise.all([shop.close(), bank.close()]);
  app.close();
  app.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

describe('two trust domains', () => {
  it('refuse each other until both federate, and then call each other', async () => {
    expect(await refused()).toBe(true);
    await federate(shop, 'bank.test', bank);
    await eventually('a fetched bundle', async () => (await condition(shop, 'bank-test', 'BundleFetched'))?.status === 'True');
    expect(await refused()).toBe(true);
    await federate(bank, 'shop.test', shop);
    expect(await callUntil(200)).toBe(200);
  });

  it('have policies that name the other’s identities, by principal and by trust domain', async () => {
    const allow = (source: object) => apply(bank, doc('AuthorizationPolicy', 'callers', 'money', { action: 'ALLOW', rules: [{ from: [{ source }] }] }));
    await allow({ principals: ['shop.test/ns/shop/sa/other'] });
    expect(await callUntil(403)).toBe(403);
    await allow({ principals: ['shop.test/ns/shop/sa/web'] });
    expect(await callUntil(200)).toBe(200);
    await allow({ trustDomains: ['third.test'] });
    expect(await callUntil(403)).toBe(403);
    await allow({ trustDomains: ['shop.test'] });
    expect(await callUntil(200)).toBe(200);
    await bank.call('DELETE', '/resources/AuthorizationPolicy/money/callers');
    expect(await callUntil(200)).toBe(200);
  });

  it('show when each entry of the other’s bundle ends, in the view of the CA and as metrics', async () => {
    const { foreign, jwtKeys } = (await shop.call('GET', '/ca')).body as CaView;
    const bundle = readSpiffeBundle(await bundleOf(bank));
    const root = new X509Certificate(bundle.roots[0] ?? '');
    expect(foreign).toMatchObject([
      { trustDomain: 'bank.test', use: 'x509-svid', fingerprint: root.fingerprint256, notAfter: root.validToDate.toISOString(), lifetimeUsed: expect.any(Number) as number },
      { trustDomain: 'bank.test', use: 'jwt-svid', subject: bundle.jwtKeys[0]?.kid, notAfter: null },
    ]);
    expect(jwtKeys).toHaveLength(1);
    const { token } = (await shop.call('POST', '/session?token=true', { username: 'admin', password: shop.password })).body as { token: string };
    const text = await (await fetch(`${shop.apiUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text();
    expect(text).toContain(`sallyport_foreign_bundle_not_after_seconds{trust_domain="bank.test",fingerprint="${root.fingerprint256}"} ${root.validToDate.getTime() / 1000}`);
    expect(text).toContain('sallyport_foreign_bundle_roots_valid{trust_domain="bank.test"} 1');
    expect(text).toContain('sallyport_foreign_bundle_jwt_keys{trust_domain="bank.test"} 1');
  });

  it('count what the other runs neither as theirs to protect nor as outside of the mesh', async () => {
    const { counts } = (await shop.call('GET', '/overview')).body as OverviewView;
    expect(counts).toMatchObject({ workloads: 1, meshed: 1 });
    const { workloadList, workloads } = (await shop.call('GET', '/namespaces/bank')).body as NamespaceDetail;
    expect(workloadList).toMatchObject([{ name: 'ledger', trustDomain: 'bank.test', proxy: null }]);
    expect(workloads.total).toBe(0);
  });

  it('keep the bundle while its endpoint is another, and say so', async () => {
    await federate(shop, 'bank.test', bank, { bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: 'spiffe://bank.test/somebody' } });
    const stale = await eventually('a stale bundle', async () => {
      const found = await condition(shop, 'bank-test', 'BundleFetched');
      return found?.reason === 'BundleStale' && found;
    });
    expect(stale.message).toContain('the endpoint is spiffe://bank.test/sallyport/operator, expected spiffe://bank.test/somebody');
    expect(await call()).toBe(200);
  });

  it('close what is open when an identity comes onto the denylist', async () => {
    const mesh = (denylist: object) => apply(bank, doc('Mesh', 'default', null, { trustDomain: 'bank.test', jwks: { allowedHosts: ['127.0.0.1'] }, denylist }));
    await mesh({ spiffeIds: ['spiffe://shop.test/ns/shop/sa/web'] });
    expect(await refused()).toBe(true);
    await mesh({});
    expect(await callUntil(200)).toBe(200);
  });

  it('end with the object', async () => {
    await bank.call('DELETE', '/resources/FederatedTrustDomain/shop-test');
    expect(await refused()).toBe(true);
  });
});

it('a second object for a trust domain, or one for our own, is not taken', async () => {
  await apply(shop, doc('FederatedTrustDomain', 'again', null, { trustDomain: 'bank.test', bundleEndpointURL: 'https://192.0.2.1/', bundleEndpointProfile: { type: 'https_web' } }));
  await apply(shop, doc('FederatedTrustDomain', 'self', null, { trustDomain: 'shop.test', bundleEndpointURL: 'https://192.0.2.1/', bundleEndpointProfile: { type: 'https_web' } }));
  const verdictOn = (name: string) => eventually(`a verdict on ${name}`, () => condition(shop, name, 'Accepted'));
  expect(await verdictOn('again')).toMatchObject({ status: 'False', message: expect.stringContaining('bank-test is older') as string });
  expect(await verdictOn('self')).toMatchObject({ status: 'False', message: 'this is our own trust domain' });
});

it('addresses of our own network are refused, as for keys', async () => {
  await apply(bank, doc('FederatedTrustDomain', 'inside', null, { trustDomain: 'inside.test', bundleEndpointURL: 'https://10.0.0.1/', bundleEndpointProfile: { type: 'https_web' } }));
  const found = await eventually('a refusal', async () => {
    const each = await condition(bank, 'inside', 'BundleFetched');
    return each?.reason === 'BundleUnavailable' && each;
  });
  expect(found.message).toContain('private address 10.0.0.1, which is refused');
});

describe.skipIf('missing' in tool)('go-spiffe, which we did not write', () => {
  const run = (...args: string[]) => JSON.parse(spawnSync('path' in tool ? tool.path : '', args, { encoding: 'utf8', timeout: 20_000 }).stdout) as Record<string, unknown>;

  it('reads our bundle endpoint by https_spiffe, and refuses it for another ID', async () => {
    const file = join(directory, 'bundle.json');
    writeFileSync(file, await bundleOf(shop));
    const url = shop.bundleUrl ?? '';
    expect(run('fetch', 'shop.test', url, 'spiffe://shop.test/sallyport/operator', file)).toMatchObject({ kind: 'bundle', roots: 1, keys: 1, hint: 300 });
    expect(run('fetch', 'shop.test', url, 'spiffe://shop.test/other', file)).toMatchObject({ kind: 'error' });
  });

  it('gives way to the command line: PEM files for their owner alone, and no key on the terminal', () => {
    const cli = (...args: string[]) => spawnSync(process.execPath, [new URL('../cli/main.ts', import.meta.url).pathname, 'svid', args[0] ?? '', '--socket', `unix://${join(directory, 'shop.test.workload-api')}`, ...args.slice(1)], { encoding: 'utf8', timeout: 30_000 });
    const into = join(directory, 'written');
    const fetched = cli('fetch', '--write', into, '--output', 'json');
    expect(JSON.parse(fetched.stdout)).toMatchObject([{ spiffeId: 'spiffe://shop.test/ns/shop/sa/web' }]);
    expect(fetched.stdout + fetched.stderr).not.toContain('PRIVATE KEY');
    expect(new X509Certificate(readFileSync(join(into, 'svid.pem'))).checkPrivateKey(createPrivateKey(readFileSync(join(into, 'key.pem'))))).toBe(true);
    expect(statSync(join(into, 'key.pem')).mode & 0o777).toBe(0o600);
    expect(cli('fetch', '--show-key').stdout).toContain('PRIVATE KEY');
    expect(cli('jwt', '--audience', 'reports').stdout.trim().split('.')).toHaveLength(3);
    expect(cli('fetch', '--socket', 'unix:///nowhere').stderr).toMatch(/cannot be reached|broke off/);
  });

  it('gets a JWT-SVID from a proxy and an operator, and finds it valid', () => {
    const id = 'spiffe://shop.test/ns/shop/sa/web';
    expect(run('jwt', `unix://${join(directory, 'shop.test.workload-api')}`, 'reports')).toEqual({ kind: 'jwt', here: id, there: id, audience: ['reports'] });
  });
});
