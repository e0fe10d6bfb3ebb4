import http from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addTraffic, addWorkload, baseEntries, call, countOf, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let client: Entries;
let server: Entries;
let ports: readonly [number, number];
let seen: string[];

beforeEach(async () => {
  mesh = await TestMesh.start();
  ports = [await freePort(), await freePort()];
  seen = [];
  const app = (name: string, status: number): http.RequestListener => (req, res) => void req.resume().on('end', () => {
    seen.push(name);
    res.writeHead(status).end(name);
  });
  client = baseEntries(mesh.operator.ca.root);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  for (const [index, name] of ['api', 'other'].entries()) {
    const port = ports[index] ?? 0;
    addService(client, 'pay', name, 'http', [{ port, spiffeId: workloadUri('pay', name) }]);
    addWorkload(server, 'pay', name, { inbound: [{ port, protocol: 'http', app: await mesh.app(app(name, name === 'api' ? 503 : 200)) }] }, { port });
  }
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(() => mesh.close());

const get = () => call({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' } });

it('between two proxies an endpoint’s failure is hidden by another’s answer, under mutual TLS', async () => {
  const both = [{ workload: 'api', port: ports[0], spiffeId: workloadUri('pay', 'api') }, { workload: 'other', port: ports[1], spiffeId: workloadUri('pay', 'other') }];
  client.set('service/pay/api', { type: 'service', value: { namespace: 'pay', name: 'api', ports: [{ port: 80, protocol: 'http', endpoints: both.map((each) => ({ ...each, address: '127.0.0.1', hbone: null })) }] } });
  addTraffic(client, 'pay', ['api'], { retry: { codes: [503], attempts: 1 } });
  await mesh.configure('a', client);
  for (let time = 0; time < 6; time += 1) expect(await get()).toMatchObject({ status: 200, body: 'other' });
  expect(seen).toContain('api');
  expect(countOf(await mesh.flows('a'), (flow) => flow.destination.workload === 'other' && flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(6);
});

it('a denial is no failure: it is neither sent again nor held against the endpoint', async () => {
  addPolicy(server, 'pay', 'none', { action: 'DENY', rules: [{}] });
  addTraffic(client, 'pay', ['api'], { retry: { codes: [503], attempts: 3 }, outlierDetection: { consecutive5xxErrors: 1 } });
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
  expect((await get()).status).toBe(403);
  expect(countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied')).toBe(1);
  expect(seen).toEqual([]);
});

it('a mirror gets its copy under the caller’s identity, and only if its policy allows that', async () => {
  addTraffic(client, 'pay', ['api'], { requestMirror: { backendRef: { name: 'other' } } });
  await mesh.configure('a', client);
  expect(await get()).toMatchObject({ status: 503, body: 'api' });
  await until('the copy', async () => countOf(await mesh.flows('b'), (flow) => flow.destination.workload === 'other' && flow.source.principal === workloadUri('shop', 'web')) === 1);
  expect(seen).toContain('other');
  addPolicy(server, 'pay', 'none', { selector: { matchLabels: { app: 'other' } }, action: 'DENY', rules: [{}] });
  await mesh.configure('b', server);
  expect((await get()).body).toBe('api');
  await until('the denial', async () => countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied' && flow.destination.workload === 'other') === 1);
  expect(seen.filter((name) => name === 'other')).toHaveLength(1);
});
