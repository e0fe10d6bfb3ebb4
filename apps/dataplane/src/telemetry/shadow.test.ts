import { afterEach, beforeEach, expect, it } from 'vitest';
import net from 'node:net';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, call, type Entries, freePort, raw, TestMesh } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let tcpPort: number;
let server: Entries;

beforeEach(async () => {
  mesh = await TestMesh.start();
  [port, tcpPort] = [await freePort(), await freePort()];
  const app = await mesh.app((_req, res) => res.end('app'));
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }, { port: tcpPort, protocol: 'tcp', app }] }, { port });
  addPolicy(server, 'pay', 'watch', { action: 'DENY', enforcement: 'DryRun', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }, { to: [{ operation: { paths: ['/a*'] } }] }] });
  addPolicy(server, 'pay', 'audit', { action: 'AUDIT', rules: [{ to: [{ operation: { ports: [String(tcpPort)] } }] }] });
  addPolicy(server, 'pay', 'never', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/never'] } }] }] });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(() => mesh.close());

it('counts what DryRun and AUDIT policies match, allowed or denied, and decides nothing by them', async () => {
  const through = { socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' } };
  for (const path of ['/a', '/a/b', '/b']) expect((await call({ ...through, path })).status).toBe(200);
  expect((await call({ ...through, path: '/b', method: 'PUT' })).status).toBe(200);
  expect((await call({ ...through, path: '/never', method: 'PUT' })).status).toBe(403);
  await raw(net.connect(tcpPort, '127.0.0.1'), 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const at = { namespace: 'pay', workload: 'api' };
  const found = await mesh.shadows('b');
  expect(new Set(found.map((each) => JSON.stringify(each)))).toEqual(new Set([
    { policy: 'pay/audit', action: 'AUDIT', rule: 0, ...at, port: tcpPort, count: 1 },
    // On a TCP port the DENY loses its HTTP fields, so it would deny every connection.
    { policy: 'pay/watch', action: 'DENY', rule: 0, ...at, port, count: 2 },
    { policy: 'pay/watch', action: 'DENY', rule: 0, ...at, port: tcpPort, count: 1 },
    { policy: 'pay/watch', action: 'DENY', rule: 1, ...at, port, count: 2 },
  ].map((each) => JSON.stringify(each))));
});
