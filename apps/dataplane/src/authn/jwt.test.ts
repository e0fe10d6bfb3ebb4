import http, { type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWTPayload, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addAuthentication, addKeys, addPolicy, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, setMesh, TestMesh } from '../../test/mesh.ts';

const SOURCE = 'https://issuer.test/keys';
const ISSUER = 'https://issuer.test';
const pairs: Record<string, GenerateKeyPairResult> = {};
const jwks: Record<string, object> = {};
for (const algorithm of ['RS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const) {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  pairs[algorithm] = pair;
  jwks[algorithm] = { ...(await exportJWK(pair.publicKey)), kid: algorithm };
}

let mesh: TestMesh;
let port: number;
let server: Entries;
let seen: { url: string; headers: IncomingHttpHeaders }[];

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  seen = [];
  const app = await mesh.app((req, res) => {
    seen.push({ url: req.url ?? '', headers: req.headers });
    req.resume().on('end', () => res.end(JSON.stringify(req.trailers)));
  });
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  addKeys(server, SOURCE, Object.values(jwks));
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await mesh.configure('a', client);
});
afterEach(async () => {
  vi.useRealTimers();
  await mesh.close();
});

async function rules(...jwtRules: object[]): Promise<void> {
  addAuthentication(server, 'pay', 'jwt', { jwtRules: jwtRules.map((rule) => ({ issuer: ISSUER, jwksUri: SOURCE, ...rule })) });
  await mesh.configure('b', server);
}
const token = (claims: JWTPayload = {}, algorithm = 'ES256', header: object = {}) =>
  new SignJWT({ iss: ISSUER, sub: 'joe', aud: 'pay', exp: Math.floor(Date.now() / 1000) + 300, ...claims })
    .setProtectedHeader({ alg: algorithm, kid: algorithm, ...header }).sign(pairs[algorithm]?.privateKey as CryptoKey);
const send = (options: RequestOptions = {}, headers: Record<string, string | string[]> = {}) => call({ socketPath: mesh.socketPath('web'), ...options, headers: { host: 'api.pay', ...headers } });
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
const last = () => seen.at(-1) ?? { url: '', headers: {} };

describe('a token', () => {
  it.each(Object.keys(pairs))('signed with %s is accepted, and taken out of the request', async (algorithm) => {
    await rules({});
    expect((await send({}, bearer(await token({}, algorithm)))).status).toBe(200);
    expect(last().headers).not.toHaveProperty('authorization');
  });

  it('is held against the clock at each call, though its signature was found good before', async () => {
    await rules({});
    const text = await token();
    expect((await send({}, bearer(text))).status).toBe(200);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 400_000 });
    expect((await send({}, bearer(text))).status).toBe(401);
    vi.useRealTimers();
    expect((await send({}, bearer(text))).status).toBe(200);
  });

  const now = Math.floor(Date.now() / 1000);
  it.each<[string, () => Promise<string>]>([
    ['expired beyond the skew', () => token({ exp: now - 120 })],
    ['not valid yet', () => token({ nbf: now + 600 })],
    ['of another issuer', () => token({ iss: 'https://evil.test' })],
    ['without an issuer', () => token({ iss: undefined as unknown as string })],
    ['with times that are none', () => token({ exp: '2099' as unknown as number })],
    ['signed by another key', async () => new SignJWT({ iss: ISSUER }).setProtectedHeader({ alg: 'ES256' }).sign((await generateKeyPair('ES256')).privateKey)],
    ['with another payload', async () => (await token()).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ iss: ISSUER, sub: 'root' })).toString('base64url')}.`)],
    ['without signature (alg none)', () => Promise.resolve(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: ISSUER })).toString('base64url')}.`)],
    ['alg none with a signature', async () => (await token()).replace(/^[^.]+/, Buffer.from('{"alg":"none"}').toString('base64url'))],
    ['an HMAC with the public key as its secret', async () => new SignJWT({ iss: ISSUER }).setProtectedHeader({ alg: 'HS256', kid: 'RS256' }).sign(Buffer.from(JSON.stringify(jwks['RS256'])))],
    ['a signature by one key under the id of another', () => token({}, 'ES256', { kid: 'ES384' })],
    ['an extension that must be understood', () => token({}, 'ES256', { crit: ['x'], x: 1 }).catch(() => 'a.b.c')],
    ['larger than 8 KiB', () => token({ pad: 'x'.repeat(9000) })],
    ['no token at all', () => Promise.resolve('nonsense')],
    ['bytes that are no UTF-8', async () => (await token()).replace(/\.[^.]+\./, `.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.`)],
  ])('%s is 401 with a challenge, and never reaches the application', async (_, make) => {
    await rules({});
    const answer = await send({}, bearer(await make()));
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="pay/api", error="invalid_token"');
    expect(answer.headers['x-sallyport-reason']).toBe('token-rejected');
    expect(seen).toEqual([]);
  });

  it('for another audience is 403', async () => {
    await rules({ audiences: ['orders'] });
    const answer = await send({}, bearer(await token()));
    expect([answer.status, answer.headers['x-sallyport-reason']]).toEqual([403, 'token-audience']);
    expect((await send({}, bearer(await token({ aud: ['x', 'orders'] })))).status).toBe(200);
    expect(countOf(await mesh.flows('b'), (flow) => flow.reason === 'token-audience' && flow.policy === 'pay/jwt' && flow.verdict === 'denied')).toBe(1);
  });

  it('is refused while there are no keys, and by keys that are no signers', async () => {
    await rules({ jwksUri: 'https://elsewhere.test/keys' });
    expect((await send({}, bearer(await token()))).body).toBe('sallyport: the issuer’s keys are not available\n');
    await rules({ jwksUri: undefined, jwks: JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] }) });
    expect((await send({}, bearer(await token()))).status).toBe(401);
    await rules({ jwksUri: undefined, jwks: JSON.stringify({ keys: [jwks['ES256']] }) });
    expect((await send({}, bearer(await token()))).status).toBe(200);
  });

  it('of a key that was taken away is refused from then on', async () => {
    await rules({});
    const text = await token();
    expect((await send({}, bearer(text))).status).toBe(200);
    addKeys(server, SOURCE, [jwks['ES384'] as object]);
    await mesh.configure('b', server);
    expect((await send({}, bearer(text))).status).toBe(401);
  });

  it('is asked of nobody: without one the request passes, and a policy may refuse it', async () => {
    await rules({});
    expect((await send()).status).toBe(200);
    addPolicy(server, 'pay', 'must', { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: [`${ISSUER}/joe`] } }], when: [{ key: 'request.auth.claims[scope]', values: ['write'] }] }] });
    await mesh.configure('b', server);
    const statuses = [];
    for (const headers of [{}, bearer(await token()), bearer(await token({ scope: 'read write' })), bearer(await token({ sub: 'jim', scope: 'write' }))]) statuses.push((await send({}, headers)).status);
    expect(statuses).toEqual([403, 403, 200, 403]);
  });

  it('beside a bad one does not help, and a crowd of them is refused', async () => {
    await rules({ fromHeaders: [{ name: 'x-a' }, { name: 'x-b' }] });
    const good = await token();
    expect((await send({}, { 'x-a': good, 'x-b': good })).status).toBe(200);
    expect((await send({}, { 'x-a': good, 'x-b': 'bad' })).status).toBe(401);
    expect((await send({}, { 'x-a': Array.from({ length: 9 }, () => good) })).status).toBe(401);
  });

  it('is not looked for in a preflight, nor where its path has no meaning', async () => {
    await rules({});
    const preflight = { origin: 'https://a.test', 'access-control-request-method': 'PUT' };
    expect((await send({ method: 'OPTIONS' }, { ...preflight, ...bearer('bad') })).status).toBe(200);
    expect((await send({ method: 'GET' }, { ...preflight, ...bearer('bad') })).status).toBe(401);
    expect((await send({ path: '/a%00' }, bearer('bad'))).status).toBe(400);
  });

  it('does not concern a workload that its RequestAuthentication does not select', async () => {
    addAuthentication(server, 'pay', 'jwt', { selector: { matchLabels: { app: 'other' } }, jwtRules: [{ issuer: ISSUER, jwksUri: SOURCE }] });
    await mesh.configure('b', server);
    expect((await send({}, bearer('bad'))).status).toBe(200);
    expect(last().headers.authorization).toBe('Bearer bad');
    addAuthentication(server, 'pay', 'jwt', { targetRefs: [{ kind: 'Service', name: 'api' }], jwtRules: [{ issuer: ISSUER, jwksUri: SOURCE }] });
    await mesh.configure('b', server);
    expect((await send({}, bearer('bad'))).status).toBe(401);
  });
});

describe('places', () => {
  it('by default are the Bearer header and access_token', async () => {
    await rules({});
    expect((await send({ path: `/a?x=1&access_token=${await token()}&y=%20` })).status).toBe(200);
    expect(last().url).toBe('/a?x=1&y=%20');
    expect((await send({ path: '/a?access%5Ftoken=bad' })).status).toBe(401);
    expect((await send({}, { authorization: 'Basic bad', 'x-token': 'bad' })).status).toBe(200);
  });

  it('are just those that a rule names', async () => {
    await rules({ fromHeaders: [{ name: 'X-Token', prefix: 'T ' }], fromParams: ['t'], fromCookies: ['session'] });
    const text = await token();
    expect((await send({ path: '/?access_token=bad' }, bearer('bad'))).status).toBe(200);
    expect((await send({}, { 'x-token': `T ${text}` })).status).toBe(200);
    expect(last().headers).not.toHaveProperty('x-token');
    expect((await send({}, { cookie: `a=1; session="${text}"; b=2` })).status).toBe(200);
    expect(last().headers.cookie).toBe('a=1; b=2');
    expect((await send({}, { cookie: 'session=bad' })).status).toBe(401);
    expect((await send({ path: `/?t=${text}` })).status).toBe(200);
    expect(last().url).toBe('/');
  });

  it('keep the token when it is to be forwarded', async () => {
    await rules({ forwardOriginalToken: true });
    const text = await token();
    await send({ path: `/?access_token=${text}` }, bearer(text));
    expect(last()).toMatchObject({ url: `/?access_token=${text}`, headers: { authorization: `Bearer ${text}` } });
  });
});

/** Sends trailers; the application answers with those that it got. */
function trailersReceived(trailers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: mesh.socketPath('web'), method: 'POST', headers: { host: 'api.pay', 'transfer-encoding': 'chunked', trailer: Object.keys(trailers).join(', ') } }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += String(chunk);
      });
      answer.on('end', () => resolve(text));
    });
    request.on('error', reject);
    request.write('body');
    request.addTrailers(trailers);
    request.end();
  });
}

describe('what the application is told', () => {
  const outputs = { outputPayloadToHeader: 'x-payload', outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }, { header: 'x-team', claim: 'org.team' }, { header: 'x-n', claim: 'n' }, { header: 'x-list', claim: 'list' }, { header: 'host', claim: 'sub' }] };

  it('is what the token says', async () => {
    await rules(outputs);
    const text = await token({ org: { team: 'red' }, n: 7, list: ['a'] });
    expect((await send({}, bearer(text))).status).toBe(200);
    expect(last().headers).toMatchObject({ 'x-payload': text.split('.')[1], 'x-sub': 'joe', 'x-team': 'red', 'x-n': '7', host: 'api.pay' });
    expect(last().headers).not.toHaveProperty('x-list');
  });

  it('is not what a caller says, with a token, without one, in a preflight, or as a trailer', async () => {
    await rules(outputs);
    addPolicy(server, 'pay', 'no-root', { action: 'DENY', rules: [{ when: [{ key: 'request.headers[x-sub]', values: ['root'] }] }] });
    await mesh.configure('b', server);
    const forged = { 'X-Sub': 'root', 'x-team': 'blue', 'x-payload': 'e30', 'x-list': 'x' };
    const preflight = { origin: 'https://a.test', 'access-control-request-method': 'PUT' };
    for (const [method, headers] of [['GET', forged], ['GET', { ...forged, ...bearer(await token()) }], ['OPTIONS', { ...forged, ...preflight }]] as const) {
      expect((await send({ method }, headers)).status).toBe(200);
      expect(last().headers['x-sub'] ?? 'none').toMatch(/^(joe|none)$/);
      for (const name of ['x-team', 'x-list']) expect(last().headers).not.toHaveProperty(name);
    }
    expect(await trailersReceived({ 'x-sub': 'root', 'x-sum': '1' })).toBe('{"x-sum":"1"}');
  });

  it('never becomes another header', async () => {
    await rules(outputs);
    expect((await send({}, bearer(await token({ sub: 'joe\r\nx-admin: 1' })))).status).toBe(200);
    for (const name of ['x-sub', 'x-admin']) expect(last().headers).not.toHaveProperty(name);
  });
});

describe('the client behind trusted proxies', () => {
  const from = async (trusted: number, forwarded?: string) => {
    setMesh(server, { numTrustedProxies: trusted });
    addPolicy(server, 'pay', 'client', { action: 'ALLOW', rules: [{ from: [{ source: { remoteIpBlocks: ['203.0.113.0/24'] } }] }] });
    await mesh.configure('b', server);
    return (await send({}, forwarded === undefined ? {} : { 'x-forwarded-for': forwarded })).status;
  };

  it('is the Nth address from the right, or the direct peer', async () => {
    expect(await from(0, '203.0.113.9')).toBe(403);
    expect(await from(1, '198.51.100.1, 203.0.113.9')).toBe(200);
    expect(await from(1, '203.0.113.9, 198.51.100.1')).toBe(403);
    expect(await from(2, '203.0.113.9, 198.51.100.1')).toBe(200);
    expect(await from(2, '203.0.113.9')).toBe(403);
    expect(await from(1, 'nonsense')).toBe(403);
    expect(await from(1)).toBe(403);
  });
});
