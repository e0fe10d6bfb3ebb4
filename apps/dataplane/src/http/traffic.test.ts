import http from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addService, addTraffic, addWorkload, baseEntries, call, countOf, type Entries, freePort, type TestAnswer, TestMesh, until } from '../../test/mesh.ts';

/** An application outside the mesh, so that each endpoint can be told from the others by its own count. */
interface Backend {
  readonly port: number;
  readonly seen: { readonly method: string; readonly url: string; readonly host: string; readonly body: string }[];
  handler: (res: http.ServerResponse, body: string) => void;
}

let mesh: TestMesh;
let client: Entries;
let servers: http.Server[];

beforeEach(async () => {
  mesh = await TestMesh.start();
  servers = [];
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  await mesh.proxy('a');
});
afterEach(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await mesh.close();
});

async function backend(handler: Backend['handler']): Promise<Backend> {
  const self: Backend = { port: await freePort(), seen: [], handler };
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('error', () => undefined).on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const body = Buffer.concat(chunks).toString();
      self.seen.push({ method: req.method ?? '', url: req.url ?? '', host: req.headers.host ?? '', body });
      self.handler(res, body);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(self.port, '127.0.0.1', resolve));
  return self;
}

const status = (code: number) => (res: http.ServerResponse) => void res.writeHead(code).end(String(code));
const silent = () => undefined;

/** Services of these backends, ruled by one policy for the first. */
async function configure(spec: object, services: Record<string, readonly Backend[]>): Promise<void> {
  for (const [name, list] of Object.entries(services)) addService(client, 'pay', name, 'http', list.map(({ port }) => ({ port, spiffeId: null })));
  addTraffic(client, 'pay', [Object.keys(services)[0] ?? ''], spec);
  await mesh.configure('a', client);
}

const get = (options: http.RequestOptions = {}, body?: string | Buffer): Promise<TestAnswer> => call({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' }, ...options }, body);
const times = <T>(count: number, make: () => Promise<T>): Promise<T[]> => Array.from({ length: count }).reduce<Promise<T[]>>(async (before) => [...(await before), await make()], Promise.resolve([]));
const flows = async (reason: string) => countOf(await mesh.flows('a'), (flow) => flow.verdict === 'failed' && flow.reason === reason);

describe('a repetition', () => {
  it('hides an endpoint that fails, body and all, and is counted as one call', async () => {
    const [bad, good] = [await backend(status(503)), await backend((res, body) => void res.end(body))];
    await configure({ retry: { codes: [503], attempts: 1 }, retryConstraint: { minRetryRate: { count: 100 } } }, { api: [bad, good] });
    const answers = await times(12, () => get({ method: 'PUT' }, 'the body'));
    expect(answers.map((answer) => `${answer.status} ${answer.body}`)).toEqual(Array.from({ length: 12 }, () => '200 the body'));
    expect(bad.seen.length).toBeGreaterThan(0);
    expect(bad.seen.every(({ body }) => body === 'the body')).toBe(true);
    expect(good.seen).toHaveLength(12);
    expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'allowed')).toBe(12);
  });

  it('follows a connection that breaks without an answer', async () => {
    const [bad, good] = [await backend((res) => void res.destroy()), await backend(status(200))];
    await configure({ retry: { attempts: 1 } }, { api: [bad, good] });
    const answers = await times(8, () => get());
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect(bad.seen.length).toBeGreaterThan(0);
  });

  it('is not made of what may not be done twice, of long bodies, or of more than the policy says', async () => {
    const bad = await backend(status(503));
    await configure({ retry: { codes: [503], attempts: 2, backoff: '1ms' } }, { api: [bad] });
    expect((await get({ method: 'POST' }, 'x')).status).toBe(503);
    expect(bad.seen).toHaveLength(1);
    expect((await get({ method: 'PUT' }, Buffer.alloc(70_000, 'x'))).status).toBe(503);
    expect(bad.seen).toHaveLength(2);
    expect(await get()).toMatchObject({ status: 503, body: '503' });
    expect(bad.seen).toHaveLength(5);
    await configure({ retry: { codes: [503], attempts: 2, backoff: '1ms', methods: ['POST'] } }, { api: [bad] });
    await get({ method: 'POST' }, 'x');
    expect(bad.seen.slice(5).map(({ body }) => body)).toEqual(['x', 'x', 'x']);
  });

  it('is made by budget', async () => {
    const bad = await backend(status(503));
    await configure({ retry: { codes: [503], attempts: 1, backoff: '1ms' }, retryConstraint: { budget: { percent: 0 }, minRetryRate: { count: 3, interval: '1h' } } }, { api: [bad] });
    await times(10, () => get());
    expect(bad.seen).toHaveLength(13);
  });
});

describe('a timeout', () => {
  it('answers 504 with its reason when the whole is over', async () => {
    const slow = await backend(silent);
    await configure({ timeouts: { request: '300ms' } }, { api: [slow] });
    const answer = await get();
    expect(answer).toMatchObject({ status: 504, headers: { 'x-sallyport-reason': 'timeout' } });
    expect(await flows('timeout')).toBe(1);
  });

  it('of one attempt leaves time for another', async () => {
    const [slow, good] = [await backend(silent), await backend(status(200))];
    await configure({ timeouts: { request: '1h', backendRequest: '3s' }, retry: { attempts: 1 }, outlierDetection: { consecutive5xxErrors: 1, baseEjectionTime: '1h' } }, { api: [slow, good] });
    // The slow one is asked first by one call of two, until one has asked it.
    const answers = await times(40, () => get());
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect(slow.seen).toHaveLength(1);
  });

  it('ends no answer that has begun', async () => {
    const streaming = await backend((res) => {
      res.write('first ');
      setTimeout(() => res.end('last'), 5_000);
    });
    await configure({ timeouts: { request: '4s' } }, { api: [streaming] });
    expect(await get()).toMatchObject({ status: 200, body: 'first last' });
  });
});

describe('an endpoint', () => {
  it('that fails is taken out of use', async () => {
    const [bad, good] = [await backend(status(500)), await backend(status(200))];
    await configure({ outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: '1h' } }, { api: [bad, good] });
    await times(40, () => get());
    expect([bad.seen.length, good.seen.length]).toEqual([3, 37]);
  });

  it('is chosen by the hash of a header', async () => {
    const list = [await backend(status(200)), await backend(status(200)), await backend(status(200))];
    await configure({ loadBalancer: { type: 'ConsistentHash', consistentHash: { header: 'x-user' } } }, { api: list });
    await times(10, () => get({ headers: { host: 'api.pay', 'x-user': 'u1' } }));
    expect(list.map(({ seen }) => seen.length).sort((a, b) => a - b)).toEqual([0, 0, 10]);
  });
});

describe('calls', () => {
  it('are divided by weight', async () => {
    const [old, fresh] = [await backend(status(200)), await backend(status(200))];
    await configure({ backendRefs: [{ name: 'api', weight: 3 }, { name: 'v2', weight: 1 }] }, { api: [old], v2: [fresh] });
    await times(200, () => get());
    expect(old.seen.length + fresh.seen.length).toBe(200);
    // 50 of 200 are expected; outside of these limits chance comes once in a hundred million runs.
    expect(fresh.seen.length).toBeGreaterThan(14);
    expect(fresh.seen.length).toBeLessThan(95);
    expect(countOf(await mesh.flows('a'), (flow) => flow.destination.service === 'v2')).toBe(fresh.seen.length);
  });

  it('are copied as they are; what becomes of the copy does not matter', async () => {
    const [api, shadow] = [await backend((res, body) => void res.end(body)), await backend(status(500))];
    await configure({ requestMirror: { backendRef: { name: 'shadow' } } }, { api: [api], shadow: [shadow] });
    expect(await get({ method: 'POST', path: '/a?b=c' }, 'body')).toMatchObject({ status: 200, body: 'body' });
    expect((await get()).status).toBe(200);
    await until('both copies', () => shadow.seen.length === 2);
    expect(shadow.seen[0]).toEqual({ method: 'POST', url: '/a?b=c', host: 'api.pay', body: 'body' });
    shadow.handler = (res) => void res.destroy();
    expect((await get()).status).toBe(200);
    addService(client, 'pay', 'shadow', 'http', []);
    await mesh.configure('a', client);
    expect((await get()).status).toBe(200);
    expect(api.seen).toHaveLength(4);
  });

  it('do not wait for a mirror that takes nothing', async () => {
    const [api, shadow] = [await backend((res, body) => void res.end(String(body.length))), await backend(silent)];
    await configure({ requestMirror: { backendRef: { name: 'shadow' } } }, { api: [api], shadow: [shadow] });
    const answers = await times(70, () => get());
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    await until('as many copies as are allowed', () => shadow.seen.length === 64);
    expect((await get({ method: 'POST' }, Buffer.alloc(1_000_000))).body).toBe('1000000');
  });
});

describe('a fault', () => {
  it('answers in the place of the service, as HTTP or as gRPC', async () => {
    const api = await backend(status(200));
    await configure({ fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } } }, { api: [api] });
    expect(await get()).toMatchObject({ status: 418, headers: { 'x-sallyport-reason': 'fault-injected' } });
    expect(await flows('fault-injected')).toBe(1);
    await configure({ fault: { abort: { percentage: { value: 100 }, grpcStatus: 'UNAVAILABLE' } } }, { api: [api] });
    expect(await get()).toMatchObject({ status: 200, headers: { 'grpc-status': '14', 'content-type': 'application/grpc' } });
    expect(api.seen).toHaveLength(0);
  });

  it('holds a call, also beyond its time', async () => {
    const api = await backend((res, body) => void res.end(body));
    await configure({ fault: { delay: { percentage: { value: 100 }, fixedDelay: '400ms' } } }, { api: [api] });
    expect((await get({ method: 'POST' }, 'held')).body).toBe('held');
    await configure({ timeouts: { request: '100ms' }, fault: { delay: { percentage: { value: 100 }, fixedDelay: '5m' } } }, { api: [api] });
    expect((await get()).status).toBe(504);
    expect(api.seen).toHaveLength(1);
  });

  it('that holds a call lets its caller go', async () => {
    const api = await backend(status(200));
    await configure({ fault: { delay: { percentage: { value: 100 }, fixedDelay: '5m' } } }, { api: [api] });
    const gone = http.get({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' }, agent: false });
    gone.on('error', () => undefined);
    await new Promise<void>((resolve) => gone.once('finish', resolve));
    gone.destroy();
    await until('the call to be counted', async () => countOf(await mesh.flows('a'), () => true) === 1);
    expect(api.seen).toHaveLength(0);
  });
});

describe('a limit', () => {
  it('answers 503 beyond it, and lets in who waits when there is room', async () => {
    const held: http.ServerResponse[] = [];
    const api = await backend((res) => void held.push(res));
    await configure({ circuitBreaker: { maxRequests: 2, maxPendingRequests: 1 } }, { api: [api] });
    const open = [get(), get()];
    await until('two open calls', () => held.length === 2);
    const waiting = get({ method: 'POST' }, 'waits');
    // Who of the two comes first waits, the other is refused.
    const other = get();
    const first = await Promise.race([waiting, other]);
    expect(first).toMatchObject({ status: 503, headers: { 'x-sallyport-reason': 'overloaded' } });
    expect(await flows('overloaded')).toBe(1);
    expect(held).toHaveLength(2);
    held[0]?.end('done');
    await until('the one that waited', () => held.length === 3);
    for (const res of held.slice(1)) res.end('done');
    const statuses = (await Promise.all([...open, waiting, other])).map((answer) => answer.status);
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 200, 200, 503]);
  });

  it('on waiting is that of the call’s time', async () => {
    const held: http.ServerResponse[] = [];
    const api = await backend((res) => void held.push(res));
    await configure({ circuitBreaker: { maxRequests: 1, maxPendingRequests: 1 } }, { api: [api] });
    const first = get();
    await until('an open call', () => held.length === 1);
    await configure({ circuitBreaker: { maxRequests: 1, maxPendingRequests: 1 }, timeouts: { request: '200ms' } }, { api: [api] });
    expect((await get()).status).toBe(504);
    held[0]?.end();
    expect((await first).status).toBe(200);
    expect(api.seen).toHaveLength(1);
  });
});

it('two policies for one service are refused', async () => {
  const api = await backend(status(200));
  await configure({}, { api: [api] });
  const entry = client.get('traffic/pay/traffic');
  if (entry?.type !== 'traffic') throw new Error('no policy');
  const { resource } = entry.value;
  client.set('traffic/pay/other', { type: 'traffic', value: { resource: { ...resource, metadata: { ...resource.metadata, name: 'other' } }, services: ['api'] } });
  await expect(mesh.configure('a', client)).rejects.toThrow(/another policy rules service pay\/api already/);
});
