import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { credentials as grpcCredentials, Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeX509Svids, encodeJwtSvidRequest, splitCertificates, toPem } from '@sallyport/shared/pki';
import { spiffeTool } from '../../../../tools/spiffe/build.ts';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { addWorkload, baseEntries, type Entries, TestMesh, until } from '../../test/mesh.ts';
import { callerReader } from './caller.ts';

const tool = spiffeTool();
const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const OTHER = 'other.test';
const foreign = new TestCa('foreign');
let mesh: TestMesh;
let entries: Entries;
let socket: string;
let clients: Client[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  entries = baseEntries('');
  setBundles(1);
  addWorkload(entries, 'shop', 'web', { workloadApi: { uids: [uid] } });
  addWorkload(entries, 'shop', 'stranger', { workloadApi: { uids: [uid + 1] } });
  socket = mesh.config('a').workloadApi ?? '';
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await mesh.close();
});

/** Our own bundle with so many roots, and one of another trust domain. */
function setBundles(roots: number): void {
  const own = [mesh.operator.ca.root, ...Array.from({ length: roots - 1 }, (_, index) => new TestCa(`next-${index}`).root)];
  entries.set('bundle', { type: 'bundle', value: { trustDomain: TRUST_DOMAIN, roots: own, jwtKeys: [mesh.operator.jwtKey] } });
  entries.set(`federation/${OTHER}`, { type: 'federation', value: { trustDomain: OTHER, roots: [foreign.root], jwtKeys: [] } });
}

async function start(): Promise<void> {
  await mesh.proxy('a');
  await mesh.configure('a', entries);
}

/** A client of gRPC that we did not write, with these metadata. */
function grpc(metadata: Readonly<Record<string, string>> = { 'workload.spiffe.io': 'true' }) {
  const client = new Client(`unix:${socket}`, grpcCredentials.createInsecure());
  clients.push(client);
  const sent = new Metadata();
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
  const same = (bytes: Buffer) => bytes;
  const call = (method: string, request: Buffer = Buffer.alloc(0)) => client.makeServerStreamRequest(`/SpiffeWorkloadAPI/${method}`, same, same, request, sent);
  return {
    call,
    /** The first message, or the status that came instead. */
    first: (method: string, request?: Buffer) => new Promise<Buffer | ServiceError>((resolve) => {
      const stream = call(method, request);
      stream.once('error', resolve).once('data', (message: Buffer) => {
        resolve(message);
        stream.on('error', () => undefined).cancel();
      });
    }),
  };
}

const status = (code: number) => expect.objectContaining({ code }) as unknown;
const INVALID_ARGUMENT = status(3);
const PERMISSION_DENIED = status(7);
const UNIMPLEMENTED = status(12);
const UNAVAILABLE = status(14);

describe('the Workload API', () => {
  it('gives the caller’s SVID with its key, our bundle and the federated ones, in DER', async () => {
    await start();
    const message = decodeX509Svids((await grpc().first('FetchX509SVID')) as Buffer);
    expect(message.svids.map(({ spiffeId }) => spiffeId)).toEqual([workloadUri('shop', 'web')]);
    const [svid] = message.svids;
    const chain = splitCertificates(svid!.chain);
    const leaf = new X509Certificate(chain[0]!);
    expect(leaf.checkPrivateKey(createPrivateKey({ key: Buffer.from(svid!.key), format: 'der', type: 'pkcs8' }))).toBe(true);
    expect({ chain: chain.length, bundle: splitCertificates(svid!.bundle) }).toEqual({ chain: 2, bundle: [mesh.operator.ca.root] });
    expect([...message.federated].map(([name, der]) => [name, toPem('CERTIFICATE', der)])).toEqual([[`spiffe://${OTHER}`, foreign.root]]);
    expect(statSync(socket).mode & 0o777).toBe(0o666);
  });

  // Workload Endpoint §4: "workload.spiffe.io: true", case-sensitive; otherwise InvalidArgument.
  it.each<[string, Record<string, string>]>([['no header', {}], ['another value', { 'workload.spiffe.io': 'True' }], ['an empty one', { 'workload.spiffe.io': '' }]])('refuses a call with %s, whatever the method', async (_what, metadata) => {
    await start();
    const { first } = grpc(metadata);
    for (const method of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles', 'FetchJWTSVID', 'ValidateJWTSVID', 'Nothing']) expect(await first(method)).toEqual(INVALID_ARGUMENT);
  });

  // workloadapi.proto: "Must return Unimplemented where Workload API endpoint does not support the WIT-SVID profile."
  it('has no WIT profile and no other methods', async () => {
    await start();
    for (const method of ['FetchWITSVID', 'FetchWITBundles', 'fetchx509svid', 'toString', '__proto__']) expect(await grpc().first(method)).toEqual(UNIMPLEMENTED);
  });

  it('is Unavailable before the first configuration', async () => {
    await mesh.proxy('a');
    for (const method of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']) expect(await grpc().first(method)).toEqual(UNAVAILABLE);
  });

  // Workload Endpoint §6: PermissionDenied for a client that "is not entitled".
  it.each([
    ['no workload', { uids: [uid + 1] }],
    ['a workload of another group', { uids: [uid], gids: [gid + 1] }],
  ])('denies a caller whose user is of %s', async (_what, workloadApi) => {
    addWorkload(entries, 'shop', 'web', { workloadApi });
    await start();
    for (const method of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']) expect(await grpc().first(method)).toEqual(PERMISSION_DENIED);
    expect(await grpc().first('FetchJWTSVID', encodeJwtSvidRequest(['x']))).toEqual(PERMISSION_DENIED);
  });

  it('ends a stream with PermissionDenied when the workload is the caller’s no more', async () => {
    await start();
    const stream = grpc().call('FetchX509SVID');
    const messages: Buffer[] = [];
    stream.on('data', (message: Buffer) => messages.push(message));
    const ended = new Promise((resolve) => stream.once('error', resolve));
    await until('the first message', () => messages.length === 1);
    addWorkload(entries, 'shop', 'web', {});
    await mesh.configure('a', entries);
    expect(await ended).toEqual(PERMISSION_DENIED);
    expect(messages.length).toBe(1);
  });

  // Workload API §4.5: a mandatory field with its default value is InvalidArgument.
  it('refuses JWT requests without audience or token, and tokens that are none', async () => {
    await start();
    const { first } = grpc();
    expect(await first('FetchJWTSVID')).toEqual(INVALID_ARGUMENT);
    expect(await first('ValidateJWTSVID')).toEqual(INVALID_ARGUMENT);
    expect(await first('ValidateJWTSVID', Buffer.from('0a01781201790a', 'hex'))).toEqual(INVALID_ARGUMENT);
    expect(await first('ValidateJWTSVID', Buffer.from('0a0178120179', 'hex'))).toEqual(INVALID_ARGUMENT);
    expect(await first('FetchX509SVID', Buffer.alloc(100_000))).toEqual(status(8));
  });

  it('survives bytes that are no HTTP/2, and goes on', async () => {
    await start();
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff', '\0'.repeat(70_000)]) {
      const raw = net.connect(socket);
      raw.on('error', () => undefined).resume().write(bytes, 'latin1');
      await new Promise((resolve) => raw.once('close', resolve));
    }
    expect(await grpc().first('FetchX509SVID')).toBeInstanceOf(Buffer);
  });
});

describe.skipIf('missing' in tool)('go-spiffe, a client that we did not write', () => {
  const run = (...args: string[]) => spawn('path' in tool ? tool.path : '', args, { stdio: ['ignore', 'pipe', 'inherit'] });

  it('watches SVIDs and bundles: the first at once, the others as they rotate', async () => {
    mesh.operator.renewShare = 0.001;
    await start();
    const child = run('watch', `unix://${socket}`);
    const events: Record<string, unknown>[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line) as Record<string, unknown>));
    const of = (kind: string) => events.filter((event) => event['kind'] === kind);
    const latest = (kind: string, member: string) => (of(kind).at(-1)?.[member] ?? { [OTHER]: 0 }) as Record<string, number>;
    await until('three SVIDs', () => new Set(of('x509').map(({ svids }) => (svids as { serial: string }[])[0]?.serial)).size >= 3);
    setBundles(2);
    await mesh.configure('a', entries);
    await until('the second root', () => latest('x509-bundles', 'bundles')[TRUST_DOMAIN] === 2);
    entries.delete(`federation/${OTHER}`);
    await mesh.configure('a', entries);
    await until('the end of a federation', () => !(OTHER in latest('jwt-bundles', 'keys')));
    child.kill('SIGINT');
    expect(of('x509')[0]).toMatchObject({ svids: [{ id: workloadUri('shop', 'web'), chain: 2 }], bundles: { [TRUST_DOMAIN]: 1, [OTHER]: 1 } });
    expect(of('jwt-bundles')[0]).toMatchObject({ keys: { [TRUST_DOMAIN]: 1, [OTHER]: 0 } });
    expect(events.filter(({ kind }) => String(kind).endsWith('error'))).toEqual([]);
  });

  it('fetches a JWT-SVID, finds it valid by our bundle, and so do we', async () => {
    await start();
    const child = run('jwt', `unix://${socket}`, 'reports');
    const lines: unknown[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
    await until('an answer', () => lines.length > 0);
    const id = workloadUri('shop', 'web');
    expect(lines).toEqual([{ kind: 'jwt', here: id, there: id, audience: ['reports'] }]);
  });
});

it('knows a caller by what the kernel says', async () => {
  const path = mesh.socketPath('plain');
  const read = callerReader();
  const told = new Promise((resolve) => {
    const server = net.createServer((accepted) => {
      resolve(read(accepted));
      accepted.destroy();
      expect(read(accepted)).toBeNull();
      server.close();
    }).listen(path, () => net.connect(path).on('error', () => undefined));
  });
  expect(await told).toEqual({ pid: process.pid, uid, gid });
});

it('leaves no socket behind', async () => {
  await start();
  expect(existsSync(socket)).toBe(true);
  await mesh.stopProxy('a');
  expect(existsSync(socket)).toBe(false);
});
