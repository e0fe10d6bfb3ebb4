import http2 from 'node:http2';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addService, addTraffic, addWorkload, baseEntries, call, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let client: Entries;
let servers: http2.Http2Server[];
let seen: string[];

beforeEach(async () => {
  mesh = await TestMesh.start();
  servers = [];
  seen = [];
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  await mesh.proxy('a');
});
afterEach(async () => {
  await mesh.close();
  for (const server of servers) server.close();
});

/** An application outside the mesh that speaks HTTP/2 alone. */
async function application(name: string, status: number): Promise<{ readonly port: number; readonly spiffeId: null }> {
  const port = await freePort();
  const server = http2.createServer();
  server.on('stream', (stream) => {
    let body = '';
    stream.on('error', () => undefined).on('data', (chunk: Buffer) => (body += chunk.toString())).on('end', () => {
      seen.push(`${name} ${body}`);
      stream.respond({ ':status': status });
      stream.end(name);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { port, spiffeId: null };
}

const send = (method: string, body?: string) => call({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' }, method }, body);

it('HTTP/2 applications are repeated, copied and timed as others are, with and without a body', async () => {
  addService(client, 'pay', 'api', 'http2', [await application('bad', 503), await application('good', 200)]);
  addService(client, 'pay', 'shadow', 'http2', [await application('shadow', 200)]);
  addTraffic(client, 'pay', ['api'], { retry: { codes: [503] }, timeouts: { request: '1h' }, requestMirror: { backendRef: { name: 'shadow' } } });
  await mesh.configure('a', client);
  for (let time = 0; time < 4; time += 1) {
    expect(await send('PUT', 'body')).toMatchObject({ status: 200, body: 'good' });
    expect(await send('GET')).toMatchObject({ status: 200, body: 'good' });
  }
  await until('all copies', () => seen.filter((line) => line.startsWith('shadow')).length === 8);
  const of = (name: string) => seen.filter((line) => line.startsWith(`${name} `));
  expect(of('shadow').filter((line) => line === 'shadow body')).toHaveLength(4);
  expect(of('good')).toHaveLength(8);
  expect(of('bad').length).toBeGreaterThan(0);
});
