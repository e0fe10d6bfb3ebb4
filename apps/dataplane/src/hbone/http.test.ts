import { afterEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addService, addWorkload, baseEntries, call, countOf, freePort, TestMesh, until } from '../../test/mesh.ts';

const API = '127.0.0.41';

let mesh: TestMesh;
afterEach(() => mesh.close());

it('carries many requests on one connection, under the identity of the caller and nobody else’s', async () => {
  mesh = await TestMesh.start();
  const [port, hbone] = [await freePort(), await freePort()];
  const app = await mesh.app((req, res) => {
    // Long enough that the calls overlap.
    setTimeout(() => res.end(JSON.stringify(req.headers['x-forwarded-client-cert'])), 30);
  });
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api'), address: API, hbone }]);
  const server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { address: API, hbonePort: hbone, inbound: [{ port, protocol: 'http', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
  const get = () => call({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay', 'x-forwarded-client-cert': 'URI=spiffe://mesh.test/ns/admin/sa/root', forwarded: 'for=10.9.9.9' } });
  await until('HBONE', async () => {
    await get();
    return (await mesh.metric('b', 'sallyport_proxy_hbone_connections{side="inbound"}')) === 1;
  });
  const before = countOf(await mesh.flows('b'), () => true);
  const answers = await Promise.all(Array.from({ length: 50 }, get));
  const expected = JSON.stringify(`By=${workloadUri('pay', 'api')};URI=${workloadUri('shop', 'web')}`);
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set([`200 ${expected}`]));
  expect(await mesh.metric('b', 'sallyport_proxy_hbone_connections{side="inbound"}')).toBe(1);
  expect(await mesh.metric('a', 'sallyport_proxy_hbone_streams{side="outbound"}')).toBeGreaterThan(1);
  const flows = await mesh.flows('b');
  expect(countOf(flows, ({ mtls, verdict }) => mtls === 'mutual' && verdict === 'allowed')).toBe(before + 50);
});
