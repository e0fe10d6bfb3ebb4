import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { call, type TestMesh } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { answerTo } from './relay.fixture.ts';

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const MOST = 100;
const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-field-${n}`, 'y']));
const seen = (headers: object) => Object.keys(headers).filter((name) => name.startsWith('x-field-')).length;

/** Answers with as many fields as it may, and says how many came. */
function http1App(mesh: TestMesh): Promise<string> {
  return mesh.app((req, res) => {
    res.sendDate = false;
    req.resume().on('end', () => res.writeHead(200, { ...fields(MOST - 1), 'x-seen': seen(req.headers) }).end('app'));
  });
}

function http2App(mesh: TestMesh): Promise<string> {
  const path = mesh.socketPath('h2');
  const app = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  app.on('session', (session) => sessions.add(session));
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined).resume();
    stream.on('end', () => {
      stream.respond({ ':status': 200, ...fields(MOST - 1), 'x-seen': seen(headers) }, { sendDate: false } as http2.ServerStreamResponseOptions);
      stream.end('app');
    });
  });
  closers.push(() => {
    app.close();
    for (const session of sessions) session.destroy();
  });
  return new Promise((resolve) => app.listen(path, () => resolve(`unix:${path}`)));
}

/** One POST whose body has no announced length, so that whoever frames it must say how. */
type Caller = (out: string, count: number) => Promise<{ readonly status: number; readonly seen: unknown; readonly got: number }>;

const callers: [name: string, caller: Caller][] = [
  ['HTTP/1.1', async (out, count) => {
    const { status, headers } = await call({ socketPath: out, method: 'POST', headers: { host: 'api.pay', 'transfer-encoding': 'chunked', ...fields(count) } }, 'body');
    return { status, seen: headers['x-seen'], got: seen(headers) };
  }],
  ['HTTP/2', async (out, count) => {
    const client = http2.connect('http://api.pay', { createConnection: () => net.connect(out), maxHeaderListPairs: 200 });
    closers.push(() => client.destroy());
    const stream = client.request({ ':method': 'POST', ...fields(count) });
    stream.end('body');
    const { status, headers } = await answerTo(stream);
    return { status, seen: headers['x-seen'], got: seen(headers) };
  }],
];

describe.each([['HTTP/1.1', 'http', http1App], ['HTTP/2', 'http2', http2App]] as const)('to an application on %s', (_name, protocol, app) => {
  it.each(callers)('a caller on %s may send 100 headers and gets 100, whatever the proxies add, and no more', async (_caller, caller) => {
    const pair = await Pair.start(protocol, app);
    closers.push(() => pair.mesh.close());
    // Host is one of them, whatever it is called.
    expect(await caller(pair.out, MOST - 1)).toEqual({ status: 200, seen: String(MOST - 1), got: MOST - 1 });
    expect(await caller(pair.out, MOST)).toMatchObject({ status: 431 });
  });
});
