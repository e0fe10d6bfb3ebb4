import grpc from '@grpc/grpc-js';
import diagnostics from 'node:diagnostics_channel';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { issueCertificate } from '@sallyport/shared/pki';
import { type AppProbe, PROBE_PORT } from '@sallyport/shared/push';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { readConfiguration } from '../config.ts';
import { type ProbeServer, startProbes } from './server.ts';

const PATH = '/app/web/livenessProbe';
const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((clean) => clean()));

async function listening(server: net.Server): Promise<number> {
  cleanups.push(() => server.close());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function probesOf(probe: AppProbe, unready: () => string[] = () => []): Promise<ProbeServer> {
  const server = await startProbes({ port: 0, host: '127.0.0.1', declared: { [PATH]: probe } }, unready);
  cleanups.push(() => server.close());
  return server;
}

async function get({ port }: ProbeServer, path = PATH): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: answer.status, text: await answer.text() };
}

const httpProbe = (port: number, more: Partial<Extract<AppProbe, { kind: 'http' }>> = {}): AppProbe => ({ kind: 'http', port, path: '/up?deep=1', scheme: 'HTTP', headers: [], timeout: 5, ...more });

describe('HTTP probes', () => {
  it('ask the application what was declared, with its header fields, and pass on nothing of what it says', async () => {
    const seen: http.IncomingMessage[] = [];
    const port = await listening(http.createServer((request, response) => {
      seen.push(request);
      response.end('a secret');
    }));
    const probes = await probesOf(httpProbe(port, { headers: [{ name: 'Host', value: 'shop.example' }, { name: 'X-Probe', value: 'yes' }] }));
    expect(await get(probes)).toEqual({ status: 200, text: 'ok\n' });
    expect(seen[0]?.url).toBe('/up?deep=1');
    expect(seen[0]?.headers).toMatchObject({ host: 'shop.example', 'x-probe': 'yes', 'user-agent': 'kube-probe/sallyport' });
  });

  it.each([[199 + 1, 200], [302, 200], [399, 200], [400, 503], [503, 503]])('take %i for %i', async (said, answered) => {
    const port = await listening(http.createServer((_request, response) => response.writeHead(said).end()));
    expect((await get(await probesOf(httpProbe(port)))).status).toBe(answered);
  });

  it('fail where nobody listens, and where nobody answers in time', async () => {
    const port = await listening(http.createServer());
    expect(await get(await probesOf(httpProbe(port, { timeout: 1 })))).toEqual({ status: 503, text: 'no answer within 1 s\n' });
    const free = await listening(net.createServer());
    cleanups.pop()?.();
    expect(await get(await probesOf(httpProbe(free)))).toEqual({ status: 503, text: 'ECONNREFUSED\n' });
  });

  it('take any certificate, as the kubelet does', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = issueCertificate({ subject: 'x', uri: null, notBefore: 0, notAfter: Date.now() + 3_600_000, serial: Buffer.from([1]), kind: { ca: false } }, keys.publicKey, { subject: 'x', ...keys });
    const port = await listening(https.createServer({ cert, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) }, (_request, response) => response.end()));
    expect((await get(await probesOf(httpProbe(port, { scheme: 'HTTPS' })))).status).toBe(200);
    expect((await get(await probesOf(httpProbe(port)))).status).toBe(503);
  });

  it('ask once for many who want to know', async () => {
    const asked: http.ServerResponse[] = [];
    const port = await listening(http.createServer((_request, response) => asked.push(response)));
    const probes = await probesOf(httpProbe(port, { timeout: 60 }));
    let arrived = 0;
    const count = (message: unknown) => (arrived += (message as { request: http.IncomingMessage }).request.url === PATH ? 1 : 0);
    diagnostics.subscribe('http.server.request.start', count);
    cleanups.push(() => diagnostics.unsubscribe('http.server.request.start', count));
    const answers = [...Array(20).keys()].map(() => get(probes));
    await until('all to arrive', () => arrived === 20 && asked.length > 0);
    asked[0]?.end();
    expect((await Promise.all(answers)).every(({ status }) => status === 200)).toBe(true);
    expect(asked).toHaveLength(1);
  });
});

it('TCP probes want an open port', async () => {
  const port = await listening(net.createServer((socket) => socket.destroy()));
  expect((await get(await probesOf({ kind: 'tcp', port, timeout: 5 }))).status).toBe(200);
  cleanups.splice(0).forEach((clean) => clean());
  expect((await get(await probesOf({ kind: 'tcp', port, timeout: 5 }))).text).toBe('ECONNREFUSED\n');
});

describe('gRPC probes', () => {
  const asItIs = (bytes: Buffer): Buffer => bytes;
  /** Answers with the bytes for the service that is asked for. */
  async function healthServer(statuses: Readonly<Record<string, Buffer>>): Promise<number> {
    const server = new grpc.Server();
    const Check = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs };
    server.addService({ Check }, {
      Check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
        const bytes = statuses[call.request.subarray(2).toString()];
        if (bytes) answer(null, bytes);
        else answer({ code: grpc.status.NOT_FOUND });
      },
    });
    cleanups.push(() => server.forceShutdown());
    return await new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)));
    });
  }

  it('want SERVING of the service that they name', async () => {
    const port = await healthServer({ '': Buffer.from([8, 1]), shop: Buffer.from([8, 2]), odd: Buffer.from([]) });
    const of = async (service: string) => get(await probesOf({ kind: 'grpc', port, service, timeout: 5 }));
    expect((await of('')).status).toBe(200);
    expect(await of('shop')).toEqual({ status: 503, text: 'the application\'s health is 2, not SERVING\n' });
    expect((await of('odd')).status).toBe(503);
    expect(await of('unknown')).toEqual({ status: 503, text: 'gRPC status 5\n' });
  });

  it('fail where HTTP/1.1 is spoken', async () => {
    const port = await listening(http.createServer((_request, response) => response.end()));
    expect((await get(await probesOf({ kind: 'grpc', port, service: '', timeout: 1 }))).status).toBe(503);
  });
});

it('answers for the proxy itself without naming what is missing, and for nothing that was not declared', async () => {
  let missing = ['no valid SVID for spiffe://x/y'];
  const probes = await probesOf({ kind: 'tcp', port: 1, timeout: 1 }, () => missing);
  expect(await get(probes, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
  expect(await get(probes, '/readyz')).toEqual({ status: 503, text: 'not ready\n' });
  missing = [];
  expect((await get(probes, '/readyz')).status).toBe(200);
  expect((await get(probes, '/app/web/readinessProbe')).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${probes.port}${PATH}`, { method: 'POST' })).status).toBe(405);
});

it('names a port that is taken', async () => {
  const taken = await probesOf({ kind: 'tcp', port: 1, timeout: 1 });
  await expect(startProbes({ port: taken.port, host: '127.0.0.1', declared: {} }, () => [])).rejects.toThrow(/probe port \d+.*SALLYPORT_PROBE_PORT/);
});

describe('the configuration', () => {
  const env = {
    SALLYPORT_PROXY: 'a', SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: 'mesh.test', SALLYPORT_JOIN_URL: 'https://a:1', SALLYPORT_STREAM_URL: 'https://a:2',
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: '/b', SALLYPORT_STATE_DIR: '/nonexistent', SALLYPORT_PROBE_PORT: String(PROBE_PORT),
  };

  it('takes probes as the injector writes them, and has none without a port', () => {
    const declared = { [PATH]: httpProbe(80) };
    expect(readConfiguration({ ...env, SALLYPORT_PROBES: JSON.stringify(declared), SALLYPORT_PROBE_HOST: '10.1.2.3' }).probes).toEqual({ port: PROBE_PORT, host: '10.1.2.3', declared });
    expect(readConfiguration({ ...env, SALLYPORT_PROBE_PORT: '' }).probes).toBeNull();
  });

  it.each(['{', '[]', '{"/other":{"kind":"tcp","port":1,"timeout":1}}', `{"${PATH}":{"kind":"tcp","port":0,"timeout":1}}`, `{"${PATH}":{"kind":"exec","port":1,"timeout":1}}`])('refuses %s', (text) => {
    expect(() => readConfiguration({ ...env, SALLYPORT_PROBES: text })).toThrow(/SALLYPORT_PROBES: must be the application's probes/);
  });

  it('asks at addresses only', () => {
    expect(() => readConfiguration({ ...env, SALLYPORT_PROBE_HOST: 'metadata.internal' })).toThrow(/SALLYPORT_PROBE_HOST/);
  });
});
