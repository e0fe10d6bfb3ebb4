import type { IncomingHttpHeaders, RequestListener, RequestOptions } from 'node:http';
import net from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CheckAttributes, grpcAuthorizer, httpAuthorizer } from '../../test/authorizers.ts';
import { workloadUri } from '../../test/certificates.ts';
import { addAuthentication, addPolicy, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, setMesh, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let tcpPort: number;
let server: Entries;
let seen: { url: string; headers: IncomingHttpHeaders }[];
const closers: (() => void)[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  tcpPort = await freePort();
  seen = [];
  const app = await mesh.app((req, res) => {
    seen.push({ url: req.url ?? '', headers: req.headers });
    req.pipe(res);
  });
  const echo = await mesh.tcpApp((socket) => void socket.pipe(socket));
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }, { protocol: 'tcp', listen: `unix:${mesh.socketPath('tcp')}`, namespace: 'pay', service: 'echo', port: 80 }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  addService(client, 'pay', 'echo', 'tcp', [{ port: tcpPort, spiffeId: workloadUri('pay', 'api') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }, { port: tcpPort, protocol: 'tcp', app: echo }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await mesh.configure('a', client);
});
afterEach(async () => {
  await mesh.close();
  for (const close of closers.splice(0)) close();
});

const custom = (rules: Parameters<typeof addPolicy>[3]['rules'] = [{}]) => addPolicy(server, 'pay', 'ask', { action: 'CUSTOM', provider: { name: 'authz' }, rules });
const provide = (protocol: 'envoyExtAuthzHttp' | 'envoyExtAuthzGrpc', service: number, settings: object = {}) =>
  setMesh(server, { extensionProviders: [{ name: 'authz', [protocol]: { service: '127.0.0.1', port: service, timeout: '5s', ...settings } }] });
const send = (options: RequestOptions = {}, headers: Record<string, string | string[]> = {}, body?: string) => call({ socketPath: mesh.socketPath('web'), ...options, headers: { host: 'api.pay', ...headers } }, body);
const last = () => seen.at(-1) ?? { url: '', headers: {} };

async function http(listener: RequestListener, settings: object = {}) {
  const authorizer = await httpAuthorizer(listener);
  closers.push(authorizer.close);
  custom();
  provide('envoyExtAuthzHttp', authorizer.port, settings);
  await mesh.configure('b', server);
  return authorizer;
}

async function grpc(reply: (attributes: CheckAttributes) => object | Error | null, settings: object = {}, raw: Buffer | null = null) {
  const authorizer = await grpcAuthorizer(reply, raw);
  closers.push(authorizer.close);
  custom();
  provide('envoyExtAuthzGrpc', authorizer.port, settings);
  await mesh.configure('b', server);
}

/** What comes back over the TCP port, or '' when it is closed. */
function tcp(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(mesh.socketPath('tcp'));
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(received));
    socket.end(text);
  });
}

describe('an HTTP authorizer', () => {
  it('is asked about the request as it will be forwarded, without its body, and allows with 200', async () => {
    const { asked } = await http((_req, res) => void res.writeHead(200, { 'x-user': 'joe', 'x-other': '1', 'x-envoy-auth-headers-to-remove': 'x-secret, host' }).end('ignored'), { pathPrefix: '/check', includeRequestHeadersInCheck: ['x-ask-*', 'cookie', 'x-forwarded-client-cert'], headersToUpstreamOnAllow: ['x-user'] });
    const answer = await send({ method: 'POST', path: '/a//b?x=1' }, { 'x-ask-me': 'yes', 'x-hidden': 'no', 'x-secret': 's', 'x-user': 'root', cookie: 'c=1', authorization: 'Basic x', 'x-forwarded-for': '1.2.3.4' }, 'body');
    expect([answer.status, answer.body]).toEqual([200, 'body']);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/check/a/b?x=1', headers: { host: 'api.pay', 'content-length': '0', 'x-ask-me': 'yes', cookie: 'c=1', authorization: 'Basic x', 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-client-cert': `By=${workloadUri('pay', 'api')};URI=${workloadUri('shop', 'web')}` } });
    expect(asked[0]?.headers).not.toHaveProperty('x-hidden');
    expect(last()).toMatchObject({ url: '/a/b?x=1', headers: { 'x-user': 'joe', host: 'api.pay' } });
    for (const name of ['x-secret', 'x-other']) expect(last().headers).not.toHaveProperty(name);
  });

  it('denies with its own answer', async () => {
    await http((_req, res) => void res.writeHead(302, { location: 'https://login.test', 'set-cookie': ['a=1', 'b=2'], 'x-sallyport-reason': 'policy-deny', 'x-internal': '1' }).end('sign in'), { headersToDownstreamOnDeny: ['set-cookie'] });
    const answer = await send({ method: 'POST' }, {}, 'body');
    expect(answer).toMatchObject({ status: 302, body: 'sign in', headers: { location: 'https://login.test', 'set-cookie': ['a=1', 'b=2'], 'x-sallyport-reason': 'authorizer-denied' } });
    expect(answer.headers).not.toHaveProperty('x-internal');
    expect(seen).toEqual([]);
    const flows = [...(await mesh.flows('b')), ...(await mesh.flows('a'))];
    expect(countOf(flows, (flow) => flow.verdict === 'denied' && flow.reason === 'authorizer-denied' && (flow.side === 'outbound' || flow.policy === 'pay/ask'))).toBe(2);
  });

  it('cannot make a denial look like success', async () => {
    await http((_req, res) => void res.writeHead(204).end());
    expect((await send()).status).toBe(403);
  });

  it.each<[string, RequestListener]>([
    ['never answers', () => undefined],
    ['begins a denial and never ends it', (_req, res) => void res.writeHead(403).write('x')],
    ['fails', (_req, res) => void res.writeHead(503).end()],
    ['hangs up', (req) => void req.socket.destroy()],
    ['says garbage', (req) => void req.socket.end('%$!\r\n\r\n')],
    ['denies at too great length', (_req, res) => void res.writeHead(403).end('x'.repeat(70_000))],
    ['switches protocols', (req) => void req.socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')],
  ])('that %s lets nobody in', async (_, listener) => {
    await http(listener, { timeout: '300ms', statusOnError: 503 });
    const answer = await send({ method: 'POST' }, {}, 'body');
    expect([answer.status, answer.headers['x-sallyport-reason']]).toEqual([503, 'authorizer-unavailable']);
    expect(seen).toEqual([]);
    expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'denied' && flow.reason === 'authorizer-unavailable')).toBe(1);
  });

  it('that nobody finds lets nobody in, and is found again when it comes back', async () => {
    const { port: gone, close } = await http((_req, res) => void res.end());
    expect((await send()).status).toBe(200);
    close();
    expect((await send()).status).toBe(403);
    const back = await httpAuthorizer((_req, res) => void res.end());
    closers.push(back.close);
    provide('envoyExtAuthzHttp', back.port);
    await mesh.configure('b', server);
    expect((await send()).status).toBe(200);
    expect(back.port).not.toBe(gone);
  });

  it('is asked only about what its policy matches, and never about what is denied anyway', async () => {
    const { asked } = await http((_req, res) => void res.end());
    custom([{ to: [{ operation: { paths: ['/ask/*'] } }] }]);
    addPolicy(server, 'pay', 'no-delete', { action: 'DENY', rules: [{ to: [{ operation: { methods: ['DELETE'] } }] }] });
    await mesh.configure('b', server);
    expect((await send({ path: '/free' })).status).toBe(200);
    expect((await send({ path: '/ask/x', method: 'DELETE' })).status).toBe(403);
    expect(asked).toEqual([]);
    expect((await send({ path: '/ask/x' })).status).toBe(200);
    expect(asked).toHaveLength(1);
  });

  it('does not open by its headers what a policy closes', async () => {
    await http((_req, res) => void res.writeHead(200, { 'x-role': 'guest' }).end(), { headersToUpstreamOnAllow: ['x-role'] });
    addPolicy(server, 'pay', 'admins', { action: 'ALLOW', rules: [{ when: [{ key: 'request.headers[x-role]', values: ['admin'] }] }] });
    await mesh.configure('b', server);
    const answer = await send({}, { 'x-role': 'admin' });
    expect([answer.status, answer.headers['x-sallyport-reason']]).toEqual([403, 'policy-no-allow']);
  });

  it('sees the token that is taken out of the request afterwards', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({ iss: 'i' }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    addAuthentication(server, 'pay', 'jwt', { jwtRules: [{ issuer: 'i', jwks: JSON.stringify({ keys: [await exportJWK(publicKey)] }), outputPayloadToHeader: 'x-payload' }] });
    const { asked } = await http((_req, res) => void res.end(), { includeRequestHeadersInCheck: ['x-payload'] });
    expect((await send({}, { authorization: `Bearer ${token}`, 'x-payload': 'forged' })).status).toBe(200);
    expect(asked[0]?.headers.authorization).toBe(`Bearer ${token}`);
    expect(asked[0]?.headers).not.toHaveProperty('x-payload');
    expect(last().headers).not.toHaveProperty('authorization');
    expect(last().headers['x-payload']).toBe(token.split('.')[1]);
  });

  it('does not overrule a policy that came while it was thinking', async () => {
    let answer: () => void = () => undefined;
    const { asked } = await http((_req, res) => {
      answer = () => void res.end();
    });
    const pending = send();
    await until('the question', () => asked.length === 1);
    addPolicy(server, 'pay', 'closed', { action: 'DENY', rules: [{}] });
    await mesh.configure('b', server);
    answer();
    expect((await pending).status).toBe(403);
    expect([asked.length, seen.length]).toEqual([1, 0]);
  });

  it('that the Mesh does not have lets nobody in', async () => {
    custom();
    await mesh.configure('b', server);
    expect((await send()).headers['x-sallyport-reason']).toBe('authorizer-unavailable');
  });
});

describe('a gRPC authorizer', () => {
  it('is asked with Envoy’s attributes and changes headers', async () => {
    let asked: CheckAttributes | null = null;
    const header = (key: string, value: string, append?: boolean) => ({ header: { key, value }, ...(append === undefined ? {} : { append: { value: append } }) });
    await grpc((attributes) => {
      asked = attributes;
      return { status: { code: 0 }, ok_response: { headers: [header('x-user', 'joe'), header('x-tag', 'b', true), header('host', 'evil'), header('x-sallyport-forged', '1'), header('bad name', '1')], headers_to_remove: ['x-secret', 'content-length'] } };
    });
    const answer = await send({ method: 'PUT', path: '/a/../b?x=1' }, { 'X-User': 'root', 'x-tag': 'a', 'x-secret': 's', 'x-twice': ['1', '2'] }, 'body');
    expect([answer.status, answer.body]).toEqual([200, 'body']);
    expect(asked).toMatchObject({
      source: { principal: workloadUri('shop', 'web'), address: { socket_address: { address: '127.0.0.1' } } },
      destination: { principal: workloadUri('pay', 'api'), address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      request: { http: { method: 'PUT', path: '/b?x=1', host: 'api.pay', size: '4', headers: { 'x-user': 'root', 'x-twice': '1,2', ':authority': 'api.pay', ':path': '/b?x=1', 'x-forwarded-proto': 'https' } } },
    });
    expect(last().headers).toMatchObject({ 'x-user': 'joe', 'x-tag': 'a, b', host: 'api.pay' });
    for (const name of ['x-secret', 'x-sallyport-forged']) expect(last().headers).not.toHaveProperty(name);
  });

  it.each<[string, object, number, string]>([
    ['a status', { status: { code: 7 } }, 403, 'sallyport: access denied\n'],
    ['its own answer', { status: { code: 16 }, denied_response: { status: { code: 'Unauthorized' }, headers: [{ header: { key: 'x-why', value: 'because' } }], body: 'go away' } }, 401, 'go away'],
    ['a denial under an OK status', { status: { code: 0 }, denied_response: { body: 'no' } }, 403, 'no'],
    ['a denial that says OK', { status: { code: 7 }, denied_response: { status: { code: 'OK' }, body: 'no' } }, 403, 'no'],
  ])('denies by %s', async (_, reply, status, body) => {
    await grpc(() => reply);
    expect(await send()).toMatchObject({ status, body, headers: { 'x-sallyport-reason': 'authorizer-denied' } });
    expect(seen).toEqual([]);
  });

  it.each<[string, (attributes: CheckAttributes) => object | Error | null, Buffer | null]>([
    ['never answers', () => null, null],
    ['fails', () => new Error('broken'), null],
    ['says nothing', () => ({}), null],
    ['says garbage', () => ({}), Buffer.from('ffffffffff', 'hex')],
    ['says too much', () => ({ status: { code: 0 }, ok_response: { headers_to_remove: ['x'.repeat(70_000)] } }), null],
  ])('that %s lets nobody in', async (_, reply, raw) => {
    await grpc(reply, { timeout: '500ms', statusOnError: 500 }, raw);
    const answer = await send();
    expect([answer.status, answer.headers['x-sallyport-reason']]).toEqual([500, 'authorizer-unavailable']);
    expect(seen).toEqual([]);
  });

  it('that nobody finds lets nobody in', async () => {
    custom();
    provide('envoyExtAuthzGrpc', await freePort());
    await mesh.configure('b', server);
    expect((await send()).status).toBe(403);
  });

  it('is asked about TCP connections, and again when the configuration changes', async () => {
    let code = 0;
    const asked: CheckAttributes[] = [];
    await grpc((attributes) => {
      asked.push(attributes);
      return { status: { code } };
    });
    expect(await tcp('hello')).toBe('hello');
    expect(asked[0]).toMatchObject({ source: { principal: workloadUri('shop', 'web') }, destination: { address: { socket_address: { port_value: tcpPort } } } });
    expect(asked[0]?.request ?? null).toBeNull();
    const open = net.connect(mesh.socketPath('tcp'));
    const closed = new Promise((resolve) => open.once('close', resolve));
    open.on('error', () => undefined);
    open.write('x');
    await new Promise((resolve) => open.once('data', resolve));
    code = 7;
    addPolicy(server, 'pay', 'other', { action: 'AUDIT', rules: [{}] });
    await mesh.configure('b', server);
    await closed;
    expect(await tcp('hello')).toBe('');
    expect(countOf(await mesh.flows('b'), (flow) => flow.protocol === 'tcp' && flow.reason === 'authorizer-denied')).toBe(2);
  });
});

describe('an HTTP authorizer on a TCP port', () => {
  it('cannot be asked, so nobody is let in', async () => {
    const { asked } = await http((_req, res) => void res.end());
    expect(await tcp('hello')).toBe('');
    expect(asked).toEqual([]);
    expect(countOf(await mesh.flows('b'), (flow) => flow.protocol === 'tcp' && flow.reason === 'authorizer-unavailable')).toBe(1);
  });
});
