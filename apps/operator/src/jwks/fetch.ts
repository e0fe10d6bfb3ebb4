import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { checkedAddresses, FetchError, type Resolve, shown } from './guard.ts';

const MAX_BYTES = 256 * 1024;
const MAX_REDIRECTS = 3;

export interface FetchOptions {
  readonly allowedHosts: readonly string[];
  readonly signal: AbortSignal;
  /** Whom to believe at the other end, instead of the public CAs; on redirects too. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'checkServerIdentity' | 'minVersion'>;
  /** Only tests give one. */
  readonly resolve?: Resolve;
}

const systemResolve: Resolve = (host) => lookup(host, { all: true });

/**
 * Reads a small document from an address that a user wrote. Each hop is checked by itself, and the connection goes to
 * the very address that was checked (ISTIO-SECURITY-2026-003).
 *
 * @returns its text and where it was found in the end
 * @throws FetchError
 */
export async function fetchDocument(address: string, options: FetchOptions): Promise<{ readonly text: string; readonly url: URL }> {
  let url = parseUrl(address);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const addresses = await unlessAborted(checkedAddresses(url, options.allowedHosts, options.resolve ?? systemResolve), url, options.signal);
    const answer = await get(url, addresses, options);
    const location = redirectOf(answer);
    if (location === null) return { text: await readText(answer, url), url };
    answer.destroy();
    url = follow(url, location);
  }
  throw new FetchError(`${shown(url)}: more than ${MAX_REDIRECTS} redirects; name the final address`);
}

/** The address that another one leads to. @throws FetchError when that gives up encryption */
export function follow(from: URL, to: string): URL {
  const next = URL.parse(to, from.href);
  if (next === null) throw new FetchError(`${shown(from)} leads to no readable address`);
  if (from.protocol === 'https:' && next.protocol !== 'https:') throw new FetchError(`${shown(from)} leads to ${shown(next)}, which is not encrypted; use https for both`);
  return next;
}

function parseUrl(address: string): URL {
  const url = URL.parse(address);
  if (url === null) throw new FetchError('the address is not a URL');
  return url;
}

/** A name server may keep us waiting as well. */
function unlessAborted<T>(work: Promise<T>, url: URL, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(tooSlow(url));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function tooSlow(url: URL): FetchError {
  return new FetchError(`${shown(url)} did not answer in time; the rule's timeout sets how long is waited`);
}

function get(url: URL, addresses: readonly LookupAddress[], { signal, tls }: FetchOptions): Promise<IncomingMessage> {
  const { request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      signal,
      ...tls,
      agent: false,
      headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'sallyport-operator' },
      lookup: (_host, { all }, callback) => {
        const [first] = addresses;
        if (all === true) callback(null, [...addresses]);
        else callback(null, first?.address ?? '', first?.family);
      },
    });
    asked.once('response', resolve);
    asked.on('error', (error: NodeJS.ErrnoException) => reject(failure(url, error, signal)));
    asked.end();
  });
}

function failure(url: URL, error: NodeJS.ErrnoException, signal: AbortSignal): FetchError {
  return signal.aborted ? tooSlow(url) : new FetchError(`${shown(url)} cannot be reached (${error.code ?? 'broken answer'})`);
}

function redirectOf({ statusCode, headers }: IncomingMessage): string | null {
  return statusCode !== undefined && [301, 302, 303, 307, 308].includes(statusCode) ? (headers.location ?? '') : null;
}

async function readText(answer: IncomingMessage, url: URL): Promise<string> {
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw new FetchError(`${shown(url)} answered ${answer.statusCode ?? 0} instead of 200`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw new FetchError(`${shown(url)} sent more than ${MAX_BYTES / 1024} KiB`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof FetchError) throw error;
    throw new FetchError(`${shown(url)} broke off its answer or did not finish in time`, { cause: error });
  }
  return Buffer.concat(chunks).toString('utf8');
}
