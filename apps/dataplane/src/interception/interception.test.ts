import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Flow } from '@sallyport/shared/mesh';
import { workloadUri } from '../../test/certificates.ts';
import { addPeerMode, addPolicy, addWorkload, baseEntries, countOf, type Entries, until } from '../../test/mesh.ts';
import { PodMesh, type Said } from '../../test/pod-mesh.ts';
import { type Pod, PodNetwork } from '../../test/pods.ts';

/** Proxies, applications and callers are processes of their own. */
const PATIENCE_MS = 180_000;
const MARKER = 'what-nobody-on-the-way-may-read';
const EXCLUDED = ['--exclude-inbound', '7070', '--exclude-outbound', '53,7071'];
const interception = { inbound: 15_006, outbound: 15_001 } as const;

/** Says to whoever asks by which address it is seen. */
const UDP_ECHO = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 5353))
print("bound", flush=True)
while True:
  said, who = s.recvfrom(99)
  s.sendto(said + b" from " + who[0].removeprefix("::ffff:").encode(), who)
`;
const UDP_ASK = `
import socket, sys
family, *_, place = socket.getaddrinfo(sys.argv[1], 5353, type=socket.SOCK_DGRAM)[0]
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b"hello", place)
print(s.recv(99).decode())
`;

let pods: PodMesh;
let a: Pod;
let b: Pod;
let c: Pod;
let client: Entries;
let server: Entries;
let app: Said;
let proxies: Said[];

/** The client serves as well, and calls itself. */
function addWeb(unknownDestinations?: 'Pass'): void {
  const inbound = [{ port: 8081, protocol: 'http', app: '127.0.0.1:8081' } as const];
  addWorkload(client, 'shop', 'web', { address: a.v4, hbonePort: 15_008, inbound, interception: { ...interception, unknownDestinations } }, { port: 8081 });
  const endpoint = { workload: 'web', address: a.v4, port: 8081, spiffeId: workloadUri('shop', 'web'), hbone: 15_008 };
  client.set('service/shop/web', { type: 'service', value: { namespace: 'shop', name: 'web', addresses: [pods.network.unused(1)], ports: [{ port: 80, protocol: 'http', endpoints: [endpoint] }] } });
}

function setEgress(entries: Entries, unknownDestinations: 'Pass' | 'Refuse'): void {
  const mesh = entries.get('mesh');
  if (mesh?.type === 'mesh') mesh.value.spec.egress = { unknownDestinations };
}

function addEndpoints(): void {
  const to = (address: string, hbone: number | null) => ({ workload: 'api', address, port: 8080, spiffeId: workloadUri('pay', 'api'), hbone });
  const add = (name: string, endpoint: ReturnType<typeof to>, protocol: 'http' | 'tcp', addresses: string[]) =>
    client.set(`service/pay/${name}`, { type: 'service', value: { namespace: 'pay', name, addresses, ports: [{ port: 80, protocol, endpoints: [endpoint] }] } });
  add('api', to(b.v4, 15_008), 'http', [pods.network.unused(0)]);
  add('api-second', to(b.second, null), 'http', []);
  add('api-v6', to(b.v6, null), 'tcp', []);
}

async function startAll(): Promise<void> {
  a = pods.network.add('a');
  b = pods.network.add('b');
  c = pods.network.add('c');
  const site = join(pods.mesh.directory, 'site');
  mkdirSync(site);
  writeFileSync(join(site, 'page'), MARKER);
  app = await pods.webServer(b, 8080, site);
  for (const [pod, port] of [[a, 8081], [b, 9090], [b, 7070], [c, 8082], [c, 7071]] as const) await pods.webServer(pod, port, site);
  client = baseEntries(pods.mesh.operator.ca.root);
  addWeb();
  addEndpoints();
  server = baseEntries(pods.mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { address: b.v4, hbonePort: 15_008, inbound: [{ port: 8080, protocol: 'http' }], interception }, { port: 8080 });
  addPeerMode(server, 'pay', 'STRICT');
  for (const pod of [a, b]) expect(await pods.network.redirect(pod, 'apply', ...EXCLUDED)).toEqual({ code: 0, stdout: '', stderr: '' });
  proxies = [a, b].map((pod) => pods.proxy(pod));
  await Promise.all([pods.configure(a, client), pods.configure(b, server)]);
}

const served = () => app.text.split('"GET /page').length - 1;
/** What came to be counted since `before`. */
async function flowsOf(pod: Pod, before: number): Promise<Flow[]> {
  return (await pods.mesh.flows(pod.name)).slice(before).filter(({ count }) => count > 0);
}
const countedSoFar = async () => ({ a: (await pods.mesh.flows('a')).length, b: (await pods.mesh.flows('b')).length });

describe.skipIf(PodNetwork.isSkipped('transparent interception in real network namespaces'))('interception', { timeout: PATIENCE_MS }, () => {
  beforeAll(async () => {
    pods = await PodMesh.start();
    await startAll();
  }, PATIENCE_MS);
  afterAll(() => pods?.close());

  it.each([
    ['its address', () => `${b.v4}:8080`, 'api', 'http'],
    ['another of its addresses', () => `${b.second}:8080`, 'api-second', 'http'],
    ['its IPv6 address', () => `[${b.v6}]:8080`, 'api-v6', 'tcp'],
    ['the service’s address', () => pods.network.unused(0), 'api', 'http'],
  ] as const)('carries curl’s call to a web server by %s over mutual TLS, once', async (_, place, service, protocol) => {
    const before = await countedSoFar();
    const calls = served();
    expect(await pods.get(a, `http://${place()}/page`)).toBe(MARKER);
    expect(served()).toBe(calls + 1);
    const outbound = await flowsOf(a, before.a);
    expect(outbound).toMatchObject([{ side: 'outbound', protocol, destination: { namespace: 'pay', workload: 'api', service, port: 8080 }, mtls: 'mutual', verdict: 'allowed', reason: null, count: 1 }]);
    const inbound = await flowsOf(b, before.b);
    const source = { principal: workloadUri('shop', 'web'), ip: service === 'api-v6' ? a.v6 : a.v4 };
    expect(inbound).toMatchObject([{ side: 'inbound', source, destination: { workload: 'api', service: 'api', port: 8080 }, protocol: 'http', samplePath: '/page', mtls: 'mutual', verdict: 'allowed', count: 1 }]);
  });

  it('shows nothing of it on the wire, where a call without a proxy shows all', async () => {
    const file = join(pods.mesh.directory, 'wire.pcap');
    const stop = await pods.capture(b, file);
    for (const host of [b.v4, b.second, `[${b.v6}]`]) expect(await pods.get(a, `http://${host}:8080/page`)).toBe(MARKER);
    // Port 7070 is excluded: this call shows that the wire is heard.
    expect(await pods.get(c, `http://${b.v4}:7070/page?in-clear`)).toBe(MARKER);
    await until('the last call on the wire', () => readFileSync(file).includes('/page?in-clear'));
    await stop();
    const { stdout: packets } = await pods.network.run(b, 'tcpdump', '-nn', '-Z', 'root', '-r', file);
    // Where HBONE is offered it is what is used, also by whoever asked for the application's port.
    const heard = [`${b.v4}.15008`, `${b.v4}.8080`, `${b.second}.8080`, `${b.v6}.8080`].map((place) => packets.includes(`> ${place}: `));
    expect(heard).toEqual([true, false, true, true]);
    const wire = readFileSync(file).toString('latin1');
    expect(wire.split(MARKER)).toHaveLength(2);
    expect(wire.split('GET /page')).toHaveLength(2);
    // RFC 8446 §5.1: application data of TLS 1.3.
    expect(wire.split('\x17\x03\x03').length).toBeGreaterThan(6);
    // RFC 8446 §4.2.1: in a ServerHello, supported_versions names the one that was chosen.
    expect(wire).toContain('\x00\x2b\x00\x02\x03\x04');
  });

  it('lets policy see the address that was called, and not the one that the rule made of it', async () => {
    addPolicy(server, 'pay', 'second', { action: 'ALLOW', rules: [{ when: [{ key: 'destination.ip', values: [b.second] }, { key: 'destination.port', values: ['8080'] }] }] });
    await pods.configure(b, server);
    expect(await pods.get(a, `http://${b.second}:8080/page`)).toBe(MARKER);
    expect(await pods.get(a, `http://${b.v4}:8080/page`)).toBe('sallyport: access denied\n');
    server.delete('authz/pay/second');
    await pods.configure(b, server);
  });

  it('serves a port that is not declared as what is spoken on it, by the same policies', async () => {
    const before = await countedSoFar();
    expect(await pods.get(a, `http://${b.v4}:9090/page`)).toBe(MARKER);
    const destination = { namespace: 'pay', workload: 'api', service: null, port: 9090 };
    expect(await flowsOf(a, before.a)).toMatchObject([{ protocol: 'tcp', destination, mtls: 'mutual', count: 1 }]);
    expect(await flowsOf(b, before.b)).toMatchObject([{ protocol: 'http', source: { principal: workloadUri('shop', 'web') }, destination, mtls: 'mutual', verdict: 'allowed', count: 1 }]);
  });

  it.each([8080, 9090, 15_006, 15_001, 15_008])('refuses who has no proxy on port %i', async (port) => {
    const calls = served();
    for (const host of [b.v4, `[${b.v6}]`]) expect(await pods.get(c, `http://${host}:${port}/page`)).toBe('');
    expect(served()).toBe(calls);
  });

  it('counts what it refuses', async () => {
    const before = await countedSoFar();
    await pods.get(c, `http://${b.v4}:8080/page`);
    expect(await flowsOf(b, before.b)).toMatchObject([{ source: { principal: null, ip: c.v4 }, destination: { workload: 'api', port: 8080 }, mtls: 'plaintext', verdict: 'denied', reason: 'plaintext-refused', count: 1 }]);
  });

  it('lets in who has no proxy where that is permitted, and tells them from those who have', async () => {
    addPeerMode(server, 'pay', 'PERMISSIVE');
    await pods.configure(b, server);
    const before = await countedSoFar();
    for (const place of [`${b.v4}:8080`, `[${b.v6}]:8080`, `${b.v4}:9090`]) expect(await pods.get(c, `http://${place}/page`)).toBe(MARKER);
    expect(await pods.get(a, `http://${b.v4}:8080/page`)).toBe(MARKER);
    const flows = await flowsOf(b, before.b);
    expect(countOf(flows, ({ mtls, verdict, source }) => mtls === 'plaintext' && verdict === 'allowed' && source.principal === null && [c.v4, c.v6].includes(source.ip))).toBe(3);
    expect(countOf(flows, ({ mtls, source }) => mtls === 'mutual' && source.principal === workloadUri('shop', 'web'))).toBe(1);
    addPolicy(server, 'pay', 'known', { action: 'ALLOW', rules: [{ from: [{ source: { principals: [workloadUri('shop', 'web').replace('spiffe://', '')] } }] }] });
    await pods.configure(b, server);
    for (const host of [b.v4, b.second]) {
      expect(await pods.get(c, `http://${host}:8080/page`)).toBe('sallyport: access denied\n');
      expect(await pods.get(a, `http://${host}:8080/page`)).toBe(MARKER);
    }
    server.delete('authz/pay/known');
    addPeerMode(server, 'pay', 'STRICT');
    await pods.configure(b, server);
  });

  it('leaves UDP as it is, by both families and between two that are redirected', async () => {
    await pods.python(b, UDP_ECHO, 'bound');
    for (const family of ['v4', 'v6'] as const) {
      expect(await pods.network.run(a, 'python3', '-c', UDP_ASK, b[family])).toEqual({ code: 0, stdout: `hello from ${a[family]}\n`, stderr: '' });
    }
  });

  it('leaves alone excluded ports, loopback and the workload’s own addresses', async () => {
    const before = await countedSoFar();
    expect(await pods.get(c, `http://${b.v4}:7070/page`)).toBe(MARKER);
    expect(await pods.get(c, `http://[${b.v6}]:7070/page`)).toBe(MARKER);
    expect(await pods.get(a, `http://${c.v4}:7071/page`)).toBe(MARKER);
    for (const host of ['127.0.0.1', '[::1]', a.v4, `[${a.v6}]`]) expect(await pods.get(a, `http://${host}:8081/page`)).toBe(MARKER);
    expect([...(await flowsOf(a, before.a)), ...(await flowsOf(b, before.b))]).toEqual([]);
  });

  it('passes on what the mesh does not know, says so, and refuses it where it is told to', async () => {
    const before = await countedSoFar();
    expect(await pods.get(a, `http://${c.v4}:8082/page`)).toBe(MARKER);
    expect(await pods.get(a, `http://[${c.v6}]:8082/page`)).toBe(MARKER);
    const unknown = { side: 'outbound', destination: { namespace: 'shop', workload: null, service: null, port: 8082 }, reason: 'unknown-destination' } as const;
    const passed = await flowsOf(a, before.a);
    expect(countOf(passed, ({ mtls, verdict, reason }) => mtls === 'plaintext' && verdict === 'allowed' && reason === 'unknown-destination')).toBe(2);
    expect(passed[0]).toMatchObject(unknown);
    setEgress(client, 'Refuse');
    await pods.configure(a, client);
    const then = await countedSoFar();
    expect(await pods.get(a, `http://${c.v4}:8082/page`)).toBe('');
    expect(await pods.get(a, `http://${b.v4}:8080/page`)).toBe(MARKER);
    expect((await flowsOf(a, then.a)).find(({ verdict }) => verdict === 'denied')).toMatchObject({ ...unknown, mtls: 'unknown', count: 1 });
    addWeb('Pass');
    await pods.configure(a, client);
    expect(await pods.get(a, `http://${c.v4}:8082/page`)).toBe(MARKER);
    setEgress(client, 'Pass');
    addWeb();
    await pods.configure(a, client);
  });

  it('lets a workload call itself by its service, as anybody else', async () => {
    const before = await countedSoFar();
    expect(await pods.get(a, `http://${pods.network.unused(1)}/page`)).toBe(MARKER);
    const flows = await flowsOf(a, before.a);
    for (const one of ['inbound', 'outbound']) expect(countOf(flows, ({ side, mtls, destination }) => side === one && mtls === 'mutual' && destination.service === 'web' && destination.port === 8081)).toBe(1);
  });

  it('is not its own client: whoever calls its ports on loopback gets nowhere', async () => {
    const before = await countedSoFar();
    expect(await pods.get(a, 'http://127.0.0.1:15001/page')).toBe('');
    expect(await pods.get(a, 'http://[::1]:15001/page')).toBe('');
    expect(await pods.get(a, 'http://127.0.0.1:15006/page')).toBe('');
    expect(countOf(await flowsOf(a, before.a), () => true)).toBe(3);
  });

  it('is unready without the rules and takes nobody in, and comes back with them', async () => {
    await pods.network.redirect(b, 'remove');
    await until('b to see it', async () => (await pods.admin(b, 'readyz')).includes('redirect rules are not in place'));
    expect(await pods.admin(b, 'metrics')).toContain('\nsallyport_proxy_interception_intact 0\n');
    expect(await pods.get(a, `http://${b.v4}:8080/page`)).not.toContain(MARKER);
    expect(await pods.get(c, `http://${b.v4}:15006/page`)).toBe('');
    await pods.network.redirect(b, 'apply', ...EXCLUDED, '--proxy-uid', '1338');
    await pods.network.redirect(b, 'apply', ...EXCLUDED);
    await until('b to be ready', async () => (await pods.admin(b, 'readyz')) === 'ready\n');
    expect(await pods.admin(b, 'metrics')).toContain('\nsallyport_proxy_interception_intact 1\n');
    await until('an answer', async () => (await pods.get(a, `http://${b.v4}:8080/page`)) === MARKER);
  });

  it('does the same by iptables, and by nothing else at once', async () => {
    for (const pod of [a, b]) {
      await pods.network.redirect(pod, 'remove');
      expect(await pods.network.redirect(pod, 'apply', ...EXCLUDED, '--backend', 'iptables')).toMatchObject({ code: 0 });
      expect(await pods.network.redirect(pod, 'check', ...EXCLUDED, '--backend', 'nft')).toMatchObject({ code: 1 });
    }
    for (const pod of [a, b]) await until(`${pod.name} to be ready`, async () => (await pods.admin(pod, 'readyz')) === 'ready\n');
    const before = await countedSoFar();
    for (const host of [b.v4, b.second, `[${b.v6}]`]) expect(await pods.get(a, `http://${host}:8080/page`)).toBe(MARKER);
    expect(countOf(await flowsOf(b, before.b), ({ mtls }) => mtls === 'mutual')).toBe(3);
    expect(await pods.get(c, `http://[${b.v6}]:8080/page`)).toBe('');
    expect(await pods.get(c, `http://${b.v4}:7070/page`)).toBe(MARKER);
    // One family without its rules is as bad as both.
    expect(await pods.network.run(b, 'ip6tables', '-t', 'nat', '-F', 'SALLYPORT_INBOUND')).toMatchObject({ code: 0 });
    await until('b to see it', () => proxies[1]?.text.includes('"lost":["inbound [::1]:15016"]'));
    expect(await pods.admin(b, 'readyz')).toContain('redirect rules are not in place');
  });

  it('met no defect in all of this', () => {
    const said = proxies.map(({ text }) => text).join('');
    expect(said).toContain('the redirect rules are in place');
    expect(said).not.toMatch(/defect|Warning/);
    expect(pods.mesh.operator.attests.toSorted()).toEqual(['a', 'b']);
    for (const token of pods.mesh.operator.podTokens?.keys() ?? []) expect(said).not.toContain(token);
  });
});
