import http2 from 'node:http2';
import net from 'node:net';
import grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { echoClient, type Outcome, unary } from '../../test/grpc.ts';
import { addService, addTraffic, addWorkload, baseEntries, countOf, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';
import { answerTo } from './relay.fixture.ts';
import { bind } from '../wire/h2/peer.fixture.ts';
import { field } from '../wire/index.ts';

let mesh: TestMesh;
let entries: Entries;
let client: ReturnType<typeof echoClient>;
let servers: net.Server[];

beforeEach(async () => {
  mesh = await TestMesh.start();
  servers = [];
  entries = baseEntries(mesh.operator.ca.root);
  addWorkload(entries, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  await mesh.proxy('a');
  client = echoClient(mesh.socketPath('web'), 'api.pay');
});
afterEach(async () => {
  client.close();
  await mesh.close();
  for (const server of servers) server.close();
});

const HEAD = { ':status': 200, 'content-type': 'application/grpc' } as const;
type Answer = (stream: http2.ServerHttp2Stream, body: Buffer) => void;
/** What a call brought to an application. */
interface Seen {
  readonly body: string;
  readonly timeout: string | undefined;
  reset: number | null;
}
interface Application {
  readonly port: number;
  readonly seen: Seen[];
}

const silent: Answer = () => undefined;
const trailersOnly = (status: number): Answer => (stream) => stream.respond({ ...HEAD, 'grpc-status': String(status) }, { endStream: true });
const afterMessage = (status: number): Answer => (stream, body) => withTrailers(stream, status).end(body);

function withTrailers(stream: http2.ServerHttp2Stream, status: number): http2.ServerHttp2Stream {
  stream.respond(HEAD, { waitForTrailers: true });
  return stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
}

/** An application outside the mesh; its calls are answered by these in turn, and by the last from then on. */
async function application(...answers: readonly Answer[]): Promise<Application> {
  const self: Application = { port: await freePort(), seen: [] };
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined).on('data', (part: Buffer) => parts.push(part)).on('end', () => {
      // Five bytes of framing, then the message.
      const call: Seen = { body: Buffer.concat(parts).subarray(5).toString(), timeout: headers['grpc-timeout']?.toString(), reset: null };
      stream.on('close', () => (call.reset = stream.rstCode));
      self.seen.push(call);
      (answers[self.seen.length - 1] ?? answers.at(-1))?.(stream, Buffer.concat(parts));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(self.port, '127.0.0.1', resolve));
  return self;
}

/** One that says its head and its trailers in one piece: a service that had metadata of its own, and then failed. */
async function failingAfterHead(status: number): Promise<{ readonly port: number; calls: number }> {
  const self = { port: await freePort(), calls: 0 };
  const server = net.createServer((socket) => {
    const connection = bind<null>(socket, { role: 'server' }, {
      onData: (stream, _data, end) => {
        if (!end) return;
        self.calls += 1;
        connection.respond(stream, Object.entries(HEAD).map(([name, value]) => field(name, String(value))), false);
        connection.trailers(stream, [field('grpc-status', String(status))]);
      },
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(self.port, '127.0.0.1', resolve));
  return self;
}

async function configure(spec: object, list: readonly { readonly port: number }[]): Promise<void> {
  addService(entries, 'pay', 'api', 'grpc', list.map(({ port }) => ({ port, spiffeId: null })));
  addTraffic(entries, 'pay', ['api'], spec);
  await mesh.configure('a', entries);
}

const ask = (options: grpc.CallOptions = {}): Promise<Outcome> => unary(client, 'hello', {}, options);
const { OK, UNAVAILABLE, CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, ABORTED } = grpc.status;

describe('a repetition by gRPC status', () => {
  const retry = { grpcStatuses: ['UNAVAILABLE', 'CANCELLED', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'INTERNAL'], attempts: 1, backoff: '1ms' };

  it.each([UNAVAILABLE, CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL])('follows a trailers-only answer with %i, message and all', async (status) => {
    const api = await application(trailersOnly(status), afterMessage(OK));
    await configure({ retry }, [api]);
    expect(await ask()).toMatchObject({ code: OK, answer: 'hello' });
    expect(api.seen.map(({ body }) => body)).toEqual(['hello', 'hello']);
  });

  it('follows trailers that come with the head', async () => {
    const [bad, good] = [await failingAfterHead(UNAVAILABLE), await application(afterMessage(OK))];
    // As many as half of the calls and more are repeated, by chance: the budget must not end that.
    await configure({ retry, retryConstraint: { budget: { percent: 100 }, minRetryRate: { count: 100 } } }, [bad, good]);
    for (let time = 0; time < 20; time += 1) expect(await ask()).toMatchObject({ code: OK, answer: 'hello' });
    expect(bad.calls).toBeGreaterThan(0);
    expect(good.seen).toHaveLength(20);
  });

  it('follows no other status, no message, and no status without a policy', async () => {
    const api = await application(trailersOnly(ABORTED), afterMessage(UNAVAILABLE), trailersOnly(UNAVAILABLE));
    await configure({ retry }, [api]);
    expect(await ask()).toMatchObject({ code: ABORTED });
    expect(await ask()).toMatchObject({ code: UNAVAILABLE });
    await configure({ retry: { codes: [503], methods: ['POST'] } }, [api]);
    expect(await ask()).toMatchObject({ code: UNAVAILABLE });
    expect(api.seen).toHaveLength(3);
  });

  it('ends with the last answer, as often as the policy says and the budget allows', async () => {
    const api = await application(trailersOnly(UNAVAILABLE));
    await configure({ retry: { ...retry, attempts: 2 } }, [api]);
    expect(await ask()).toMatchObject({ code: UNAVAILABLE });
    expect(api.seen).toHaveLength(3);
    await configure({ retry, retryConstraint: { budget: { percent: 0 }, minRetryRate: { count: 0 } } }, [api]);
    await ask();
    expect(api.seen).toHaveLength(4);
  });

  it('counts as failure of an endpoint what is one of the service, with or without repetition', async () => {
    const [bad, good] = [await application(trailersOnly(UNAVAILABLE)), await application(afterMessage(OK))];
    await configure({ outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '1h' } }, [bad, good]);
    for (let time = 0; time < 20; time += 1) await ask();
    expect([bad.seen.length, good.seen.length]).toEqual([2, 18]);
  });
});

/** A call by somebody who says a deadline and does not keep it. */
async function askLate(timeout: string, path = mesh.socketPath('web')): Promise<{ readonly status: unknown; readonly reason: unknown; readonly body: string }> {
  const session = http2.connect('http://api.pay', { createConnection: () => net.connect(path) });
  try {
    const stream = session.request({ ':method': 'POST', ':path': '/test.Echo/Unary', 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': timeout });
    stream.end(Buffer.from('\0\0\0\0\x05hello', 'latin1'));
    const { headers, trailers, body } = await answerTo(stream);
    return { status: headers['grpc-status'] ?? trailers['grpc-status'], reason: headers['x-sallyport-reason'], body: body.toString() };
  } finally {
    session.destroy();
  }
}

describe('the deadline of a call', () => {
  it('ends it for both sides, in the words of gRPC', async () => {
    const api = await application(silent);
    await configure({}, [api]);
    expect(await askLate('200m')).toEqual({ status: '4', reason: 'timeout', body: '' });
    await until('the application to be told', () => api.seen[0]?.reset === http2.constants.NGHTTP2_CANCEL);
    expect(countOf(await mesh.flows('a'), ({ verdict, reason }) => verdict === 'failed' && reason === 'timeout')).toBe(1);
  });

  it('ends an answer that streams with its status', async () => {
    const api = await application((stream, body) => {
      stream.respond(HEAD);
      stream.write(body);
    });
    await configure({}, [api]);
    expect(await askLate('300000u')).toEqual({ status: '4', reason: undefined, body: '\0\0\0\0\x05hello' });
    await until('the application to be told', () => api.seen[0]?.reset === http2.constants.NGHTTP2_CANCEL);
  });

  it('is passed on less what went by, and bounds repetitions', async () => {
    const api = await application(afterMessage(OK), trailersOnly(UNAVAILABLE));
    await configure({ fault: { delay: { percentage: { value: 100 }, fixedDelay: '100ms' } }, retry: { grpcStatuses: ['UNAVAILABLE'], backoff: '10s' } }, [api]);
    expect(await askLate('1H')).toMatchObject({ status: '0' });
    const passed = /^(\d+)m$/.exec(api.seen[0]?.timeout ?? '');
    expect(Number(passed?.[1])).toBeLessThanOrEqual(3_600_000 - 100);
    expect(Number(passed?.[1])).toBeGreaterThan(3_000_000);
    // There is no time for the wait before a second attempt.
    expect(await askLate('9S')).toMatchObject({ status: '14' });
    expect(api.seen).toHaveLength(2);
  });

  it.each(['', '5', '5x', '-5S', '123456789S', '1 S'])('that is none (%j) is the application’s to judge', async (timeout) => {
    const api = await application(afterMessage(OK));
    await configure({}, [api]);
    expect(await askLate(timeout)).toMatchObject({ status: '0' });
    expect(api.seen[0]?.timeout).toBe(timeout);
  });

  it('of the policy is told in the same words', async () => {
    await configure({ timeouts: { request: '200ms' } }, [await application(silent)]);
    expect(await ask()).toMatchObject({ code: DEADLINE_EXCEEDED });
  });
});
