import { randomInt } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { workloadUri } from '../certificates.ts';
import type { Scene } from './scene.ts';

/** Makes calls of one kind; each tells whether it went as it must. */
export type Caller = () => Promise<boolean>;

const body = (): Buffer => Buffer.alloc(randomInt(1, 50_000), 'x');

export function http1(scene: Scene, agent: http.Agent | false): Caller {
  return () => new Promise((resolve) => {
    const sent = body();
    const req = http.request({ ...(agent ? { agent } : { agent: false }), socketPath: scene.http, method: 'POST', path: `/${randomInt(5)}`, headers: { host: 'api.pay', 'content-length': sent.length } }, (res) => {
      let got = 0;
      res.on('data', ({ length }: Buffer) => (got += length)).on('close', () => resolve(res.statusCode === 200 && got === sent.length)).on('error', () => undefined);
    });
    req.on('error', () => resolve(false)).end(sent);
  });
}

/** Twenty calls on a connection, of which the last is taken back. */
export function h2(scene: Scene): Caller {
  return async () => {
    const session = http2.connect('http://rpc.pay', { createConnection: () => net.connect(scene.http) });
    session.on('error', () => undefined);
    const calls = await Promise.all(Array.from({ length: 20 }, () => h2Call(session)));
    session.request({ ':method': 'POST', ':path': '/left' }).on('error', () => undefined).close(http2.constants.NGHTTP2_CANCEL);
    await new Promise<void>((resolve) => session.close(resolve));
    return calls.every(Boolean);
  };
}

function h2Call(session: http2.ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = body();
    let [got, status] = [0, 0];
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('response', (headers) => (status = Number(headers[':status']))).on('data', ({ length }: Buffer) => (got += length));
    stream.on('error', () => undefined).on('close', () => resolve(status === 200 && got === sent.length));
    stream.end(sent);
  });
}

/** One connection, ended well or broken off. */
export function tcp(scene: Scene, abort: boolean): Caller {
  return () => new Promise((resolve) => {
    const sent = body();
    let got = 0;
    const socket = net.connect({ path: scene.tcp, allowHalfOpen: true });
    socket.on('error', () => undefined).on('data', ({ length }: Buffer) => {
      got += length;
      if (got < sent.length) return;
      if (abort) socket.destroy();
      else socket.end();
    });
    socket.on('end', () => socket.end()).on('close', () => resolve(got === sent.length)).write(sent);
  });
}

/** A peer that is not ours: a handshake for each call. */
export function mutualTls(scene: Scene): Caller {
  const { ca } = scene.mesh.operator;
  const identity = ca.leaf(workloadUri('shop', 'other'));
  return () => new Promise((resolve) => {
    let got = '';
    const socket = tls.connect({ host: scene.address, port: scene.port, ...identity, ca: ca.root, servername: '', checkServerIdentity: () => undefined });
    socket.on('data', (chunk: Buffer) => (got += chunk.toString())).on('error', () => undefined).on('close', () => resolve(got.startsWith('HTTP/1.1 200')));
    socket.write('GET / HTTP/1.1\r\nHost: api.pay\r\nConnection: close\r\n\r\n');
  });
}

/** Bytes that are nothing, or the beginning of something; all that counts is that they are answered by an end. */
export function nonsense(scene: Scene): Caller {
  const starts = ['', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x16\x03\x01'];
  return () => new Promise((resolve) => {
    const socket = net.connect({ host: scene.address, port: scene.port });
    socket.on('error', () => undefined).on('close', () => resolve(true)).resume();
    socket.write(Buffer.concat([Buffer.from(starts[randomInt(starts.length)] ?? '', 'latin1'), Buffer.from(Array.from({ length: 64 }, () => randomInt(256)))]));
    setTimeout(() => socket.destroy(), 50);
  });
}
