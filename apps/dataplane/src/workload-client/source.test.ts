import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { FakeAgent, svidMessage, svidsMessage } from '../../test/fake-agent.ts';
import { addWorkload, baseEntries, type Entries, setMesh, TestMesh, until } from '../../test/mesh.ts';
import type { Proxy } from '../proxy.ts';
import { GrpcError, STATUS } from '../workload-api/grpc.ts';
import { endpointPath } from './address.ts';

const WEB = workloadUri('shop', 'web');
const API = workloadUri('shop', 'api');
const spire = new TestCa('spire');
let mesh: TestMesh;
let agent: FakeAgent;
let entries: Entries;
let proxy: Proxy;

beforeEach(async () => {
  mesh = await TestMesh.start();
  agent = new FakeAgent(mesh.socketPath('agent'), svidsMessage([web()]));
  await agent.start();
  entries = baseEntries(mesh.operator.ca.root);
  setMesh(entries, { ca: { spire: { workloadApi: agent.path } } });
  addWorkload(entries, 'shop', 'web', {});
});
afterEach(async () => {
  await mesh.close();
  agent.stop();
});

const web = (leaf = spire.leaf(WEB)) => svidMessage(WEB, leaf, [spire.root]);
const api = (leaf = spire.leaf(API)) => svidMessage(API, leaf, [spire.root]);
const logged = (msg: string) => mesh.logs.filter((line) => line['msg'] === msg);
const lacks = () => proxy.unready().join();
/** Serials of the SVIDs that the Workload API gave, in order. */
const serials = () => logged('SVID installed').filter(({ spiffeId }) => spiffeId === WEB).map(({ serial }) => serial);

/** The proxy, configured, whether it is ready or not. */
async function start(): Promise<void> {
  proxy = await mesh.proxy('a');
  mesh.operator.configure('a', entries);
  await until('the configuration', () => mesh.operator.acks.length > 0 && proxy.unready().every((reason) => !reason.startsWith('never')));
}
const ready = () => until('the proxy to be ready', () => proxy.unready().length === 0);

// Workload Endpoint §4: the scheme is unix or tcp; for unix "the authority component MUST NOT be set", the path is
// absolute, "and no other component may be set".
describe('the address of a Workload API', () => {
  it.each([['unix:///run/agent.sock', '/run/agent.sock'], ['unix:/run/agent.sock', '/run/agent.sock'], ['unix:///run/a%20b', '/run/a b']])('%s', (address, path) => {
    expect(endpointPath(address)).toBe(path);
  });
  it.each(['/run/agent.sock', 'unix://host/run/agent.sock', 'unix:run/agent.sock', 'unix:///', 'unix:///run/a?x=1', 'unix:///run/a#x', 'unix:///run/a%00', 'unix:///run/%zz', 'tcp://127.0.0.1:8000', `unix:///${'a'.repeat(107)}`, ''])('not %s', (address) => {
    expect(endpointPath(address)).toBeNull();
  });
});

describe('identities from a Workload API', () => {
  it('are taken for the workloads, with the key; the operator issues the proxy’s own alone', async () => {
    await start();
    await ready();
    expect(mesh.operator.issued).toBe(1);
    // The operator has no record of these: the report says since when they are.
    const reported = await until('a report with it', () => mesh.operator.reports.at(-1)?.svids.find(({ spiffeId }) => spiffeId === WEB));
    expect(reported.notBefore).toBeLessThan(Date.now());
    expect(mesh.operator.reports.at(-1)?.svids.filter(({ notBefore }) => notBefore !== undefined).map(({ spiffeId }) => spiffeId)).toEqual([WEB]);
    expect(new Set(logged('SVID installed').map(({ spiffeId }) => spiffeId))).toEqual(new Set([WEB, `spiffe://${TRUST_DOMAIN}/sallyport/proxy/a`]));
    expect(await mesh.metric('a', 'sallyport_proxy_workload_api_up')).toBe(1);
    expect(await mesh.metric('a', 'sallyport_proxy_workload_api_message_age_seconds')).toBeGreaterThanOrEqual(0);
  });

  it('are chosen by the SPIFFE ID of the workload; one that is not there fails closed with the reason', async () => {
    addWorkload(entries, 'shop', 'api', {});
    await start();
    await until('the reason', () => lacks().includes(`no valid SVID for ${API}: Workload API ${agent.path} has no SVID of that name for this proxy; register it there`));
    expect(lacks()).not.toContain(WEB);
    agent.say(svidsMessage([web(), api()]));
    await ready();
  });

  it('that are of another trust domain are no identities of this mesh', async () => {
    const other = workloadUri('shop', 'web', 'other.test');
    agent.say(svidsMessage([svidMessage(other, spire.leaf(other), [spire.root]), web()]));
    await start();
    await ready();
    expect(logged('Workload API: SVID refused')).toEqual([]);
  });
});

describe('what the Workload API takes back', () => {
  // §5.2.1: "if the server redacts SVIDs from a subsequent response …, the client SHOULD cease using the redacted SVIDS."
  it('is given up at once', async () => {
    addWorkload(entries, 'shop', 'api', {});
    agent.say(svidsMessage([web(), api()]));
    await start();
    await ready();
    agent.say(svidsMessage([api()]));
    await until('the end of it', () => lacks().includes(`no valid SVID for ${WEB}: Workload API`));
    expect(lacks()).not.toContain(API);
  });

  // §5.2.1: "(or all SVIDs, i.e., returns a PermissionDenied …)", and "the client MAY attempt to reconnect … after a backoff".
  it('by PermissionDenied is everything, and it is asked again', async () => {
    await start();
    await ready();
    agent.say(new GrpcError(STATUS.PERMISSION_DENIED, 'no identity issued 100%'));
    await until('the end of it', () => lacks().includes('(no identity issued 100%)'));
    agent.say(svidsMessage([web()]));
    await ready();
    expect(serials().length).toBe(2);
  });
});

describe('errors', () => {
  // Workload Endpoint, appendix A: "Report an error, don't retry."
  it.each([['InvalidArgument', STATUS.INVALID_ARGUMENT], ['Unimplemented', STATUS.UNIMPLEMENTED]])('%s is final, until another configuration', async (_name, code) => {
    agent.say(new GrpcError(code, 'not like this'));
    await start();
    await until('the report', () => logged('Workload API: refused for good; not asking again before a restart or another configuration')[0]);
    expect(logged('Workload API: lost; what it gave before is kept until it expires')).toEqual([]);
    expect([agent.calls, lacks()]).toEqual([1, expect.stringContaining('not like this')]);
    const second = new FakeAgent(mesh.socketPath('second'), svidsMessage([web()]));
    await second.start();
    setMesh(entries, { ca: { spire: { workloadApi: second.path } } });
    await mesh.configure('a', entries);
    second.stop();
  });

  it('Unavailable is tried again', async () => {
    agent.say(new GrpcError(STATUS.UNAVAILABLE, 'still starting'));
    await start();
    await until('the reason', () => lacks().includes('still starting'));
    agent.say(svidsMessage([web()]));
    await ready();
    expect(serials().length).toBe(1);
  });

  it('a socket that is not there is told and tried again', async () => {
    agent.stop();
    await start();
    await until('the reason', () => lacks().includes(`${agent.path} cannot be reached (ENOENT)`));
    await agent.start();
    await ready();
    expect(serials().length).toBe(1);
  });

  it.each([
    ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['noise', Buffer.alloc(70_000, 0xff)],
    // SETTINGS, then HEADERS of stream 1 with ":status: 404" from the static table, RFC 7541 appendix A.
    ['HTTP/2 and answers 404', Buffer.from('0000000400000000000000010104000000018d', 'hex')],
    ['nothing', Buffer.alloc(0)],
  ])('a socket that speaks %s is told, tried again, and breaks nothing', async (_what, bytes) => {
    agent.stop();
    let knocks = 0;
    const server = net.createServer((socket) => {
      knocks += 1;
      socket.on('error', () => undefined).resume().end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(agent.path, resolve));
    await start();
    await until('two attempts', () => knocks >= 2 && lacks().includes(`no valid SVID for ${WEB}: Workload API ${agent.path}: `));
    await new Promise((resolve) => server.close(resolve));
    await agent.start();
    await ready();
    expect(serials().length).toBe(1);
  });

  it.each([['compressed', '0100000001ff'], ['larger than is taken', '00ffffffff00']])('a message that is %s is refused before it is read', async (_what, hex) => {
    agent.stop();
    const server = http2.createServer();
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(Buffer.from(hex, 'hex'));
    });
    await new Promise<void>((resolve) => server.listen(agent.path, resolve));
    await start();
    await until('the reason', () => /compressed messages are not taken|larger than/.test(lacks()));
    await new Promise((resolve) => server.close(resolve));
    await agent.start();
    await ready();
    expect(serials().length).toBe(1);
  });

  it('a lost socket leaves the SVID as it is, shows its age, and is picked up again', async () => {
    await start();
    await ready();
    agent.stop();
    await until('the loss', async () => (await mesh.metric('a', 'sallyport_proxy_workload_api_up')) === 0);
    expect(proxy.unready()).toEqual([]);
    const age = await mesh.metric('a', 'sallyport_proxy_workload_api_message_age_seconds');
    await until('it to grow', async () => (await mesh.metric('a', 'sallyport_proxy_workload_api_message_age_seconds')) > age);
    agent.say(svidsMessage([web()]));
    await agent.start();
    await until('another SVID', () => serials().length === 2);
  });
});

describe('a message that cannot be used', () => {
  const empty = (member: 'chain' | 'key' | 'bundle') => svidsMessage([{ ...web(), [member]: Buffer.alloc(0) }]);
  // §4.5: "Clients receiving a message in which a mandatory field has a default value SHOULD report an error and discard the message."
  it.each([
    ['no SVID', () => svidsMessage([])],
    ['no chain', () => empty('chain')],
    ['no key', () => empty('key')],
    ['no bundle', () => empty('bundle')],
    ['no name', () => svidsMessage([{ ...web(), spiffeId: '' }])],
    ['a bundle that holds no CA', () => svidsMessage([svidMessage(WEB, spire.leaf(WEB), [spire.leaf(WEB).cert])])],
    ['a bundle that is cut off', () => svidsMessage([{ ...web(), bundle: Buffer.from(web().bundle).subarray(0, 100) }])],
    ['bytes that are no message', () => Buffer.from('ffffff', 'hex')],
  ])('with %s is discarded, and what was there is kept', async (_what, message) => {
    await start();
    await ready();
    agent.say(message());
    await until('the report', () => logged('Workload API: what it gave before is kept')[0]);
    expect([proxy.unready(), serials().length, await mesh.metric('a', 'sallyport_proxy_workload_api_up')]).toEqual([[], 1, 0]);
    agent.say(svidsMessage([web()]));
    await until('the next SVID', () => serials().length === 2);
  });

  const HOUR = 3_600_000;
  const stranger = new TestCa('stranger');
  it.each([
    ['another key', () => ({ ...web(), key: api().key }), /certifies another key/],
    ['no private key', () => ({ ...web(), key: Buffer.from('secret') }), /its key is no PKCS#8 private key/],
    ['another name in it', () => web(spire.leaf(API)), /it names .*api instead of .*web/],
    ['a CA certificate', () => web(spire.leaf(WEB, { kind: { ca: true, pathLength: null } })), /leaf certificate is a CA/],
    ['an end in the past', () => web(spire.leaf(WEB, { notAfter: Date.now() - HOUR })), /it expired at/],
    ['a beginning in the future', () => web(spire.leaf(WEB, { notBefore: Date.now() + HOUR, notAfter: Date.now() + 2 * HOUR })), /it is not valid before/],
    ['a root that is not in its bundle', () => web(stranger.leaf(WEB)), /does not lead to a root/],
    ['bytes for a chain', () => ({ ...web(), chain: Buffer.from('0102030405', 'hex') }), /not in DER/],
  ])('as an SVID with %s is refused by name, and the others are taken', async (_what, bad, reason) => {
    addWorkload(entries, 'shop', 'api', {});
    agent.say(svidsMessage([bad(), api()]));
    await start();
    await until('the other one', () => !lacks().includes(`SVID for ${API}`));
    expect(lacks()).toMatch(reason);
    const lines = JSON.stringify(logged('Workload API: SVID refused'));
    expect(lines).toMatch(reason);
    expect(lines).not.toContain(Buffer.from(bad().key).toString('base64').slice(0, 60));
  });

  it('as an SVID that is spoiled leaves the one before until it expires', async () => {
    await start();
    await ready();
    agent.say(svidsMessage([{ ...web(), key: api().key }]));
    await until('the refusal', () => logged('Workload API: SVID refused')[0]);
    expect(proxy.unready()).toEqual([]);
  });
});

it('an SVID with an RSA or P-384 key is one, too', async () => {
  for (const [index, keys] of [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-384' })].entries()) {
    const leaf = { key: String(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })), cert: spire.certify(WEB, keys.publicKey).join('') };
    agent.say(svidsMessage([web(leaf)]));
    if (index === 0) await start();
    const given = await until('it', () => serials()[index]);
    expect(given).toBe(new X509Certificate(leaf.cert).serialNumber.toLowerCase());
  }
});
