import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { cancelled, echoClient, echoServer, unary } from '../../test/grpc.ts';
import { answerTo } from './relay.fixture.ts';
import { addPolicy, addService, addWorkload, baseEntries, countOf, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let server: Entries;
let app: Server;
let port: number;
let client: ReturnType<typeof echoClient>;

beforeEach(async () => {
  mesh = await TestMesh.start();
  cancelled.length = 0;
  const path = mesh.socketPath('echo');
  app = await echoServer(path);
  port = await freePort();
  const caller = baseEntries(mesh.operator.ca.root);
  addWorkload(caller, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
  addService(caller, 'pay', 'echo', 'grpc', [{ port, spiffeId: workloadUri('pay', 'echo') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'echo', { inbound: [{ port, protocol: 'grpc', app: `unix:${path}` }] }, { port });
  addPolicy(server, 'pay', 'no-secrets', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/test.Echo/Collect'] } }] }, { when: [{ key: 'request.headers[x-secret]', values: ['*'] }] }] });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', caller), mesh.configure('b', server)]);
  client = echoClient(mesh.socketPath('out'), 'echo.pay');
});
afterEach(async () => {
  client.close();
  app.forceShutdown();
  await mesh.close();
});

describe('gRPC through two proxies', () => {
  it('carries a unary call with its metadata, and counts it by its method', async () => {
    const outcome = await unary(client, 'hello', { 'x-sent': 'this' });
    expect(outcome).toMatchObject({ code: grpc.status.OK, answer: 'hello' });
    expect(outcome.trailers.get('x-trailer')).toEqual(['this']);
    for (const name of ['a', 'b']) {
      const flows = await mesh.flows(name);
      expect(countOf(flows, (flow) => flow.protocol === 'http' && flow.method === 'POST' && flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(1);
    }
  });

  it('carries the status that the application gives', async () => {
    expect(await unary(client, 'fail')).toMatchObject({ code: grpc.status.DATA_LOSS, details: 'lost: 100 % –' });
  });

  it('streams answers, and both ways at once', async () => {
    const piece = randomBytes(100_000);
    const repeated: Buffer[] = [];
    for await (const part of client.Repeat(piece) as AsyncIterable<Buffer>) repeated.push(part);
    expect(repeated.length).toBe(20);
    expect(repeated.every((part) => part.equals(piece))).toBe(true);
    const talk = client.Talk();
    for (const text of ['one', 'two', 'three']) {
      talk.write(Buffer.from(text));
      const [part] = (await once(talk, 'data')) as [Buffer];
      expect(part.toString()).toBe(text);
    }
    talk.end();
    const [status] = (await once(talk, 'status')) as [grpc.StatusObject];
    expect(status.code).toBe(grpc.status.OK);
  });

  it('cancels at the application what the caller cancels', async () => {
    const talk = client.Talk();
    talk.on('error', () => undefined);
    talk.write(Buffer.from('one'));
    await once(talk, 'data');
    talk.cancel();
    await until('the application to be told', () => cancelled.length > 0);
    expect(cancelled).toEqual(['Talk']);
  });

  it('ends at the application too when the deadline passes', async () => {
    expect(await unary(client, 'hang', {}, { deadline: Date.now() + 500 })).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    await until('the application to be told', () => cancelled.includes('Unary'));
  });

  it('is told so by the called proxy too, whoever calls it', async () => {
    // gRPC's own server keeps deadlines as well and may be first: this one answers nobody.
    const silent = http2.createServer().on('stream', (call) => call.on('close', () => cancelled.push('silent')));
    silent.listen(mesh.socketPath('silent'));
    await once(silent, 'listening');
    const late = await freePort();
    addWorkload(server, 'pay', 'late', { inbound: [{ port: late, protocol: 'grpc', app: `unix:${mesh.socketPath('silent')}` }] }, { port: late });
    await mesh.configure('b', server);
    const session = http2.connect(`http://127.0.0.1:${late}`);
    const stream = session.request({ ':method': 'POST', ':path': '/test.Echo/Unary', 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '200m' });
    stream.end(Buffer.from('\0\0\0\0\x04hang', 'latin1'));
    const { headers } = await answerTo(stream);
    session.destroy();
    expect(headers).toMatchObject({ 'grpc-status': '4', 'x-sallyport-reason': 'timeout' });
    await until('the application to be told', () => cancelled.includes('silent'));
    silent.close();
    expect(countOf(await mesh.flows('b'), ({ verdict, reason }) => verdict === 'failed' && reason === 'timeout')).toBe(1);
  });

  it('denies in the words of gRPC, before and while a caller streams', async () => {
    expect(await unary(client, 'hello', { 'x-secret': '1' })).toMatchObject({ code: grpc.status.PERMISSION_DENIED, details: 'access denied', answer: null });
    const [error] = await new Promise<Parameters<grpc.requestCallback<Buffer>>>((resolve) => {
      const call = client.Collect((...answered) => resolve(answered));
      call.on('error', () => undefined);
      call.write(Buffer.alloc(1024));
    });
    expect(error).toMatchObject({ code: grpc.status.PERMISSION_DENIED, details: 'access denied' });
    expect(error?.metadata.get('x-sallyport-reason')).toEqual(['policy-deny']);
    for (const name of ['a', 'b']) expect(countOf(await mesh.flows(name), ({ verdict, reason }) => verdict === 'denied' && reason === 'policy-deny')).toBe(2);
  });

  it('is unavailable when nobody answers', async () => {
    app.forceShutdown();
    expect(await unary(client, 'hello')).toMatchObject({ code: grpc.status.UNAVAILABLE });
  });
});
