import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addWorkload, baseEntries, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';
import type { Proxy } from '../proxy.ts';

/** Here the rules are never there: no test may write any into the machine's own network. */
let mesh: TestMesh;
let proxy: Proxy;
let entries: Entries;
let ports: { inbound: number; outbound: number };

beforeEach(async () => {
  mesh = await TestMesh.start();
  proxy = await mesh.proxy('a');
  entries = baseEntries(mesh.operator.ca.root);
  ports = { inbound: await freePort(), outbound: await freePort() };
});
afterEach(() => mesh.close());

async function configure(): Promise<string[]> {
  const before = mesh.operator.acks.length;
  mesh.operator.configure('a', entries);
  const { ack } = await until('an answer', () => mesh.operator.acks[before]);
  return ack.errors.map(({ name, message }) => `${name}: ${message}`);
}

const call = (port: number) => raw(net.connect(port, '127.0.0.1'), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');

it('without its rules is unready, says so, and takes in nobody', async () => {
  addWorkload(entries, 'shop', 'web', { inbound: [{ port: 8080, protocol: 'http', app: '127.0.0.1:8080' }], interception: ports });
  expect(await configure()).toEqual([]);
  await until('the log', () => mesh.logs.some(({ msg }) => String(msg).startsWith('the redirect rules are not in place')));
  expect(proxy.unready()).toContainEqual(expect.stringContaining('redirect rules are not in place'));
  expect(await mesh.metric('a', 'sallyport_proxy_interception_intact')).toBe(0);
  expect(await call(ports.inbound)).toBe('');
  expect(await call(ports.outbound)).toBe('');
  const flows = await mesh.flows('a');
  expect(countOf(flows, ({ side, verdict, reason, destination }) => side === 'inbound' && verdict === 'failed' && reason === 'no-config' && destination.port === ports.inbound)).toBe(1);
  expect(countOf(flows, ({ side, verdict, reason }) => side === 'outbound' && verdict === 'denied' && reason === 'unknown-destination')).toBe(1);
});

it('lets go of its listeners when it is told that nothing is redirected', async () => {
  addWorkload(entries, 'shop', 'web', { interception: ports });
  expect(await configure()).toEqual([]);
  addWorkload(entries, 'shop', 'web', {});
  expect(await configure()).toEqual([]);
  await until('it to be ready', () => proxy.unready().length === 0);
  expect(await mesh.metric('a', 'sallyport_proxy_interception_intact')).toBeNaN();
  await until('the ports to be free', async () => {
    const server = net.createServer();
    const bound = await new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(ports.inbound, '::', () => resolve(true)));
    server.close();
    return bound;
  });
});

it('refuses a configuration that redirects two workloads to it, or to a port that is taken', async () => {
  addWorkload(entries, 'shop', 'web', { interception: ports });
  addWorkload(entries, 'shop', 'other', { interception: ports });
  expect(await configure()).toEqual([expect.stringMatching(/^workload\/shop\/.*one workload of a proxy can be intercepted/)]);
  entries.delete('workload/shop/other');
  const taken = net.createServer().listen(ports.outbound, '127.0.0.1');
  expect(await configure()).toEqual([expect.stringMatching(/^workload\/shop\/web: cannot be intercepted: cannot listen on 127\.0\.0\.1:\d+: the address is in use/)]);
  taken.close();
  expect(await configure()).toEqual([]);
});
