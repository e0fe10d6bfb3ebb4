import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import tls from 'node:tls';
import type { z } from 'zod';
import { operatorSpiffeId } from '@sallyport/shared/mesh';
import { pushError } from '@sallyport/shared/push';
import { expectIdentity } from '../identity/peer.ts';

const CONNECT_MS = 10_000;
const REQUEST_MS = 15_000;
const MAX_RESPONSE_BYTES = 1024 * 1024;
const MAX_RETRY_AFTER_MS = 300_000;

/** An answer of the operator that is not a success. `retryAfter` in milliseconds, 0 when it named none. */
export class PushFailure extends Error {
  override readonly name = 'PushFailure';
  readonly status: number;
  readonly retryAfter: number;
  constructor(path: string, status: number, message: string, retryAfter: number) {
    super(`operator answered ${status} to ${path}: ${message}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * Opens an HTTP/2 session to the operator over TLS 1.3 and checks that it is the operator of `trustDomain`.
 *
 * @throws Error naming the address when it is unreachable or somebody else answers
 */
export async function connectOperator(url: URL, context: tls.SecureContext, trustDomain: string): Promise<ClientHttp2Session> {
  const socket = await openTls(url, context);
  try {
    expectIdentity(socket, operatorSpiffeId(trustDomain), null);
  } catch (error) {
    socket.destroy();
    throw new Error(`${url.host} is not the operator: ${(error as Error).message}`, { cause: error });
  }
  const session = connectHttp2(url, { createConnection: () => socket });
  // Requests carry the error to their callers; without a listener the process would end.
  session.on('error', () => undefined);
  return session;
}

function openTls(url: URL, secureContext: tls.SecureContext): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = tls.connect({
      host,
      port: Number(url.port || 443),
      secureContext,
      servername: '',
      ALPNProtocols: ['h2'],
      // The name is a SPIFFE ID, which expectIdentity checks; there is no host name to compare.
      checkServerIdentity: () => undefined,
    });
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(`cannot connect to the operator at ${url.host}: ${error.message}`, { cause: error }));
    };
    const timer = setTimeout(() => fail(new Error('no answer in time')), CONNECT_MS);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * Sends one JSON request and checks the answer against `schema`.
 *
 * @throws PushFailure for a status other than 2xx; Error when the connection broke or the answer is malformed
 */
export async function postJson<S extends z.ZodType>(session: ClientHttp2Session, path: string, body: string, schema: S): Promise<z.output<S>> {
  const answer = await exchange(session, path, body);
  if (answer.status < 200 || answer.status > 299) throw failureOf(path, answer);
  const result = schema.safeParse(answer.text === '' ? undefined : JSON.parse(answer.text));
  if (!result.success) throw new Error(`operator's answer to ${path} is malformed: ${result.error.issues[0]?.message ?? ''}`);
  return result.data;
}

function failureOf(path: string, answer: Answer): PushFailure {
  const seconds = Number(answer.headers['retry-after'] ?? 0);
  const retryAfter = Number.isFinite(seconds) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, seconds * 1000)) : 0;
  return new PushFailure(path, answer.status, messageOf(answer.text), retryAfter);
}

function messageOf(text: string): string {
  try {
    const parsed = pushError.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.error.message.slice(0, 300) : 'no explanation';
  } catch {
    return 'no explanation';
  }
}

function exchange(session: ClientHttp2Session, path: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/json' });
    const chunks: Buffer[] = [];
    let size = 0;
    let headers: IncomingHttpHeaders = {};
    const timer = setTimeout(() => request.destroy(new Error(`${path}: no answer within ${REQUEST_MS / 1000} s`)), REQUEST_MS);
    request.once('response', (received) => {
      headers = received;
    });
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_RESPONSE_BYTES) request.destroy(new Error(`${path}: answer is too large`));
      else chunks.push(chunk);
    });
    request.once('error', reject);
    request.once('close', () => {
      clearTimeout(timer);
      // Without an 'end' there was no complete answer; reject after resolve is harmless.
      reject(new Error(`${path}: connection to the operator closed`));
    });
    request.once('end', () => resolve({ status: Number(headers[':status'] ?? 0), headers, text: Buffer.concat(chunks).toString('utf8') }));
    request.end(body);
  });
}
