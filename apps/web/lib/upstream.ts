import type { ApiError } from '@sallyport/shared/api';

/** Largest request body that is passed on: twice the largest manifest that the API takes. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** An evidence bundle over a month may take this long to write; everything else answers in far less. */
const EVIDENCE_TIMEOUT_MS = 180_000;
const TIMEOUT_MS = 30_000;
const REQUEST_HEADERS = ['accept', 'authorization', 'content-type', 'cookie', 'last-event-id', 'x-csrf-token', 'x-forwarded-proto'];
const RESPONSE_HEADERS = ['content-type', 'content-disposition', 'etag', 'retry-after', 'location'];

/**
 * Passes a browser's request under `/api/v1` on to the operator and streams its answer back.
 *
 * @param base origin of the operator's API, e.g. `http://127.0.0.1:8470`
 * @returns the operator's answer; 404 outside `/api/v1`, 403 for a write from another site, 413 for a body above 2 MiB,
 *   502 or 504 when the operator cannot be reached in time
 */
export async function forward(request: Request, base: string): Promise<Response> {
  const url = new URL(request.url);
  if (!url.pathname.startsWith('/api/v1/')) return failure(404, 'not-found', 'No such API.', 'The API is under /api/v1.');
  const writes = request.method !== 'GET';
  if (writes && isCrossSite(request.headers)) {
    return failure(403, 'forbidden', 'This request came from another site.', 'Use the console itself, or a bearer token against the operator.');
  }
  const body = writes ? await readBounded(request) : null;
  if (body === 'too-large') {
    return failure(413, 'too-large', 'The request body is larger than 2 MiB.', 'Split the manifest into several files and apply them one by one.');
  }
  return send(request, new URL(url.pathname + url.search, base), body);
}

async function send(request: Request, target: URL, body: Uint8Array<ArrayBuffer> | null): Promise<Response> {
  const events = target.pathname === '/api/v1/events';
  const limit = target.pathname === '/api/v1/evidence' ? EVIDENCE_TIMEOUT_MS : TIMEOUT_MS;
  // An event stream ends when the browser leaves; all else must also end in time.
  const signal = events ? request.signal : AbortSignal.any([request.signal, AbortSignal.timeout(limit)]);
  try {
    const answer = await fetch(target, {
      method: request.method,
      headers: pick(request.headers, REQUEST_HEADERS),
      redirect: 'manual',
      cache: 'no-store',
      signal,
      ...(body && body.byteLength > 0 ? { body } : {}),
    });
    return new Response(answer.body, { status: answer.status, headers: answerHeaders(answer.headers) });
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') {
      return failure(504, 'unavailable', `The operator did not answer within ${limit / 1000} s.`, 'Look at the operator’s log; the page tries again by itself.');
    }
    return failure(502, 'unavailable', 'The operator cannot be reached.', 'Check that the operator runs, and SALLYPORT_API_URL of the console.');
  }
}

/** Browsers say where a request comes from (Fetch Metadata); programs such as the command line do not. */
function isCrossSite(headers: Headers): boolean {
  const site = headers.get('sec-fetch-site');
  return site !== null && site !== 'same-origin' && site !== 'none';
}

async function readBounded(request: Request): Promise<Uint8Array<ArrayBuffer> | 'too-large'> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) return 'too-large';
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the stream.
  for await (const part of request.body ?? []) {
    size += part.byteLength;
    if (size > MAX_BODY_BYTES) return 'too-large';
    parts.push(part);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    body.set(part, offset);
    offset += part.byteLength;
  }
  return body;
}

function pick(headers: Headers, names: readonly string[]): Headers {
  const picked = new Headers();
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) picked.set(name, value);
  }
  return picked;
}

function answerHeaders(from: Headers): Headers {
  const headers = pick(from, RESPONSE_HEADERS);
  for (const cookie of from.getSetCookie()) headers.append('set-cookie', cookie);
  // no-transform: compression would hold back server-sent events until a block is full.
  headers.set('cache-control', 'no-store, no-transform');
  return headers;
}

function failure(status: number, code: ApiError['error']['code'], message: string, remedy: string): Response {
  const body: ApiError = { error: { code, message, remedy } };
  return Response.json(body, { status, headers: { 'cache-control': 'no-store' } });
}
