import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDataPlane } from '../testing/data-plane.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { freePort } from '../../../../tools/free-port.ts';

/** A real operator and a real proxy process, with an issuer and an authorizer: what no fake of either can show. */
const directory = mkdtempSync(join(tmpdir(), 'end-'));
const keys = await generateKeyPair('RS256');
const servers: http.Server[] = [];
let operator: TestOperator;
let proxy: ChildProcess;
let seen: IncomingHttpHeaders = {};
let verdict = 200;
let issuer = '';

async function serve(listener: RequestListener, path?: string): Promise<number> {
  const server = http.createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => (path === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(path, resolve)));
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
async function apply(...manifests: string[]): Promise<void> {
  const { status, body } = await operator.call('POST', '/apply', { manifest: manifests.join('\n---\n') });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

beforeAll(async () => {
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k' };
  const issuerPort = await serve((req, res) => void res.end(JSON.stringify(req.url === '/jwks' ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/jwks` })));
  issuer = `http://127.0.0.1:${issuerPort}`;
  const authorizer = await serve((_req, res) => void res.writeHead(verdict).end('no'));
  await serve((req, res) => {
    seen = req.headers;
    res.end('app');
  }, join(directory, 'app.sock'));
  operator = await startOperator();
  const port = await freePort();
  const extensionProviders = [{ name: 'authz', envoyExtAuthzHttp: { service: '127.0.0.1', port: authorizer, timeout: '5s' } }];
  await apply(
    doc('Mesh', 'default', null, { trustDomain: 'shop.test', jwks: { allowedHosts: ['127.0.0.1'] }, extensionProviders }),
    doc('Workload', 'api', 'shop', { serviceAccount: 'api', address: '127.0.0.1', proxy: 'node-1', inbound: [{ port, protocol: 'http', app: `unix:${directory}/app.sock` }] }, { app: 'api' }),
    doc('Workload', 'web', 'shop', { serviceAccount: 'web', address: '127.0.0.1', proxy: 'node-1', outbound: [{ protocol: 'http', listen: `unix:${directory}/web.sock` }] }, { app: 'web' }),
    doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80, targetPort: port }] }),
    doc('RequestAuthentication', 'jwt', 'shop', { targetRefs: [{ kind: 'Service', name: 'api' }], jwtRules: [{ issuer, outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }] }] }),
    doc('AuthorizationPolicy', 'tokens', 'shop', { targetRefs: [{ kind: 'Service', name: 'api' }], rules: [{ from: [{ source: { requestPrincipals: [`${issuer}/*`] } }] }] }),
  );
  proxy = await startDataPlane(operator, directory);
});
afterAll(async () => {
  proxy.kill('SIGTERM');
  await once(proxy, 'exit');
  await operator.close();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(directory, { recursive: true, force: true });
});

function send(headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath: join(directory, 'web.sock'), agent: false, headers: { host: 'api.shop', ...headers } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.on('error', () => resolve(0));
  });
}

async function until(status: number, headers?: Record<string, string>): Promise<number> {
  let last = 0;
  for (let attempt = 0; attempt < 150; attempt += 1) {
    last = await send(headers);
    if (last === status) break;
    await delay(100);
  }
  return last;
}
const bearer = async (claims: object = {}) => ({ authorization: `Bearer ${await new SignJWT({ iss: issuer, sub: 'joe', ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'k' }).setExpirationTime('5m').sign(keys.privateKey)}` });

describe('operator and proxy together', () => {
  it('take the tokens of an issuer whose keys were discovered, and no others', async () => {
    const token = await bearer();
    expect(await until(200, token)).toBe(200);
    expect(seen).toMatchObject({ 'x-sub': 'joe' });
    expect(seen).not.toHaveProperty('authorization');
    expect(await send({ 'x-sub': 'root' })).toBe(403);
    expect(await send({ authorization: `${token.authorization}x` })).toBe(401);
    expect(await send(await bearer({ iss: 'https://evil.test' }))).toBe(401);
  });

  it('ask the authorizer that a CUSTOM policy names', async () => {
    verdict = 418;
    await apply(doc('AuthorizationPolicy', 'ask', 'shop', { targetRefs: [{ kind: 'Service', name: 'api' }], action: 'CUSTOM', provider: { name: 'authz' }, rules: [{}] }));
    const token = await bearer();
    expect(await until(418, token)).toBe(418);
    verdict = 200;
    expect(await send(token)).toBe(200);
    verdict = 500;
    expect(await send(token)).toBe(403);
  });
});
