import type { IncomingMessage } from 'node:http';
import type { CallTrace, Tracer } from '../telemetry/trace.ts';

export type HeaderPair = readonly [name: string, value: string];

/** More than this many headers are refused (431) rather than cut, as node:http would: a cut header escapes policy. */
const MAX_HEADERS = 100;

/** RFC 9110 §7.6.1: fields that concern one connection only. `transfer-encoding` is set anew by whoever frames the body. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'transfer-encoding', 'upgrade', 'te']);
/** What a peer may not have us drop by naming it in `Connection`. */
const NOT_NOMINABLE = new Set(['host', 'content-length', 'expect', 'traceparent', 'authorization', 'cookie']);
/** RFC 9110 §6.5.1: fields of framing, routing and identity are not allowed in trailers. */
const NO_TRAILER = new Set(['content-length', 'host', 'trailer', 'authorization', 'cookie', 'set-cookie', 'expect', 'content-encoding', 'content-type']);

/** Names and values as they came, in order. */
function headerPairs(raw: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return pairs;
}

/** Why a request must not be forwarded although node:http parsed it; null when it is sound. */
export function requestProblem(req: IncomingMessage): { readonly status: 400 | 431; readonly message: string } | null {
  if (req.rawHeaders.length > MAX_HEADERS * 2) return { status: 431, message: `more than ${MAX_HEADERS} headers` };
  const { host, 'transfer-encoding': encodings, 'content-length': lengths } = req.headersDistinct;
  // RFC 9112 §3.2: exactly one Host, or 400.
  if (host?.length !== 1) return { status: 400, message: 'needs exactly one Host header' };
  if (!encodings) return null;
  // RFC 9112 §6.1: a coding that the recipient does not understand, or one beside Content-Length, is an attack or an error.
  if (encodings.length !== 1 || encodings[0]?.toLowerCase() !== 'chunked') return { status: 400, message: 'unsupported transfer coding' };
  if (lengths) return { status: 400, message: 'Transfer-Encoding beside Content-Length' };
  if (req.httpVersion !== '1.1') return { status: 400, message: 'Transfer-Encoding needs HTTP/1.1' };
  return null;
}

/** True when the request announces a body. */
export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** Headers by which identity and verdicts travel between proxies: never taken from whoever is on the other side. */
export function isReserved(name: string): boolean {
  return name === 'x-forwarded-client-cert' || name.startsWith('x-sallyport-');
}

/** The end-to-end headers, without those that `drop` names (it gets lower-case names). */
export function endToEnd(raw: readonly string[], drop: (name: string) => boolean): HeaderPair[] {
  const pairs = headerPairs(raw);
  const nominated = new Set<string>();
  for (const [name, value] of pairs) {
    if (name.toLowerCase() === 'connection') for (const item of value.split(',')) nominated.add(item.trim().toLowerCase());
  }
  return pairs.filter(([original]) => {
    const name = original.toLowerCase();
    if (HOP_BY_HOP.has(name) || drop(name)) return false;
    return !nominated.has(name) || NOT_NOMINABLE.has(name);
  });
}

/** Fields that frame or route a message, or concern one connection: nobody sets them for us. Takes lower-case names. */
export function isConnectionHeader(name: string): boolean {
  return HOP_BY_HOP.has(name) || name === 'host' || name === 'content-length' || name === 'expect' || name === 'trailer' || name.startsWith(':');
}

/** The headers with others in the place of those of the same names. */
export function setHeaders(pairs: readonly HeaderPair[], set: readonly HeaderPair[]): HeaderPair[] {
  if (set.length === 0) return [...pairs];
  const names = new Set(set.map(([name]) => name.toLowerCase()));
  return [...pairs.filter(([name]) => !names.has(name.toLowerCase())), ...set];
}

/** Trailers that may be passed on: not those that `drop` names either, which as headers would be ours to set. */
export function safeTrailers(raw: readonly string[], drop: (name: string) => boolean = () => false): [string, string][] {
  return endToEnd(raw, (name) => isReserved(name) || NO_TRAILER.has(name) || drop(name)).map(([name, value]) => [name, value]);
}

/** Values by lower-case name, each by itself: what policy conditions look at. */
export function distinct(pairs: readonly HeaderPair[]): Record<string, string[]> {
  const result: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of pairs) (result[name.toLowerCase()] ??= []).push(value);
  return result;
}

/** The body's framing for the next hop, the same as it came with, so that both ends agree where it stops. */
export function framing(req: IncomingMessage): HeaderPair[] {
  if (req.headers['transfer-encoding'] !== undefined) return [['transfer-encoding', 'chunked']];
  // Without this node:http would announce an empty chunked body.
  if (req.headers['content-length'] === undefined && !['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE'].includes(req.method ?? '')) return [['content-length', '0']];
  return [];
}

/** The trace of a request, continued or begun. W3C Trace Context §2.3: of several headers none can be told to be right. */
export function traceOf(req: IncomingMessage, tracer: Tracer): CallTrace {
  const given = req.headersDistinct['traceparent'];
  return tracer.begin(given?.length === 1 ? (given[0] ?? null) : null);
}

/** True for the state of a trace that could not be continued. §3.3: it is not passed on without its `traceparent`. */
export function isForeignState(name: string, { continued }: CallTrace): boolean {
  return name === 'tracestate' && !continued;
}

/** Pairs as the flat list that node:http takes. */
export function flat(pairs: readonly HeaderPair[]): string[] {
  return pairs.flatMap(([name, value]) => [name, value]);
}
