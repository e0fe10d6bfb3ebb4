import { readFileSync } from 'node:fs';
import http2, { type ServerHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';

/**
 * Two hops as one writes them with node:http2: `client LISTEN UPSTREAM CERTIFICATES` takes plaintext and calls over mTLS,
 * `server …` takes mTLS, checks subject and path, and calls the application. Streams are piped, trailers passed on.
 */
const [side, listen, upstream, directory, rules] = process.argv.slice(2);
const file = (name: string) => readFileSync(`${directory}/${name}`);
const identity = (name: string) => ({ cert: file(`${name}.pem`), key: file(`${name}.key`), ca: file('ca.pem'), minVersion: 'TLSv1.3' as const });
const settings = { maxConcurrentStreams: 1000 };

// A SPIFFE certificate has no host name; the chain is checked.
const next = side === 'client'
  ? http2.connect(`https://127.0.0.1:${upstream}`, { ...identity('web'), checkServerIdentity: () => undefined })
  : http2.connect(`http://127.0.0.1:${upstream}`);
next.on('error', () => undefined);

function allowed(stream: ServerHttp2Stream, path: string): boolean {
  if (side === 'client' || rules === '0') return true;
  const subject = (stream.session?.socket as TLSSocket | undefined)?.getPeerCertificate().subject.CN;
  return subject === 'web' && (path.startsWith('/items/') || path.startsWith('/bench.Echo/'));
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'connection'));
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  stream.on('error', () => undefined);
  if (!allowed(stream, String(headers[':path']))) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true });
    return;
  }
  const call = next.request(endToEnd(headers));
  call.on('error', () => stream.destroy());
  let trailers: IncomingHttpHeaders = {};
  call.on('trailers', (found) => (trailers = found));
  // A caller that went away takes its call with it.
  stream.on('close', () => call.close());
  call.on('response', (answer) => {
    if (stream.destroyed) return;
    stream.respond(endToEnd(answer), { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(endToEnd(trailers)));
    call.pipe(stream);
  });
  stream.pipe(call);
}

const server = side === 'client' ? http2.createServer({ settings }) : http2.createSecureServer({ ...identity('api'), requestCert: true, rejectUnauthorized: true, settings });
server.on('stream', serve);
server.listen(Number(listen), '127.0.0.1');
