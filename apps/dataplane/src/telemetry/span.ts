import type { Clock } from './clock.ts';
import { OTHER_PATH } from './path-shape.ts';
import type { FlowFacts } from './series.ts';
import type { CallTrace } from './trace.ts';

/** One hop of a traced HTTP call, or of a connection of TCP. Times are readings of `performance.now()`. */
export interface Span {
  readonly trace: CallTrace;
  readonly facts: FlowFacts;
  /** The path's shape, which is few enough to be a name. */
  readonly shape: string | null;
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  /** Where the call went, on the calling side; null when it reached nobody. */
  readonly peer: string | null;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

type Value = { readonly stringValue: string } | { readonly intValue: string };
interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** Semantic conventions for HTTP: "http.request.method … SHOULD be limited to known methods"; others are `_OTHER`. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;
/** The trace is sampled, and it is said whether the parent is in another process: it always is. */
const FLAGS = 0x101;
const REMOTE_PARENT = 0x200;

/** Attributes with those that have no value left out. */
export function attributes(values: Readonly<Record<string, string | number | null>>): Attribute[] {
  return Object.entries(values).flatMap(([key, value]) => {
    if (value === null) return [];
    return [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }];
  });
}

/** The span in the JSON form of OTLP: ids in hexadecimal, 64-bit numbers as text. */
export function encodeSpan(span: Span, clock: Clock): object {
  const { trace, facts, startedAt, endedAt } = span;
  const tcp = facts.protocol === 'tcp';
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(trace.parentId === null ? {} : { parentSpanId: trace.parentId }),
    flags: FLAGS | (trace.parentId === null ? 0 : REMOTE_PARENT),
    name: tcp ? 'TCP' : httpName(span),
    kind: facts.side === 'inbound' ? SERVER : CLIENT,
    startTimeUnixNano: clock.nanoseconds(startedAt),
    endTimeUnixNano: clock.nanoseconds(Math.max(startedAt, endedAt)),
    attributes: attributes({ ...(tcp ? tcpAttributes(span) : httpAttributes(span)), ...meshAttributes(facts) }),
    status: failed(span) ? { code: ERROR, ...(facts.reason === null ? {} : { message: facts.reason }) } : {},
  };
}

/** "{method} {target}", and HTTP for a method that could be anything. */
function httpName({ facts, shape }: Span): string {
  const method = knownMethod(facts.method);
  return `${method === '_OTHER' ? 'HTTP' : method}${shape === null || shape === OTHER_PATH ? '' : ` ${shape}`}`;
}

function httpAttributes(span: Span): Record<string, string | number | null> {
  const { facts, status, bytesReceived, bytesSent } = span;
  const { side, path } = facts;
  const method = knownMethod(facts.method);
  const error = facts.reason ?? (status >= (side === 'inbound' ? 500 : 400) ? String(status) : null);
  return {
    'http.request.method': method,
    'http.request.method_original': method === '_OTHER' ? facts.method : null,
    'url.scheme': 'http',
    'url.path': path,
    'http.response.status_code': status === 0 ? null : status,
    'http.request.body.size': bytesReceived,
    'http.response.body.size': bytesSent,
    ...placeAttributes(span),
    'error.type': error,
  };
}

/** Semantic conventions have names for the bytes of messages, and none for those of a connection. */
function tcpAttributes(span: Span): Record<string, string | number | null> {
  const { facts, bytesReceived, bytesSent } = span;
  return {
    'network.transport': 'tcp',
    'sallyport.bytes.received': bytesReceived,
    'sallyport.bytes.sent': bytesSent,
    ...placeAttributes(span),
    'error.type': facts.reason,
  };
}

function placeAttributes({ facts: { side, source, destination }, peer }: Span): Record<string, string | number | null> {
  const name = destination.service ?? destination.workload;
  return {
    'server.address': name === null ? null : `${name}.${destination.namespace}`,
    'server.port': destination.port,
    'network.peer.address': side === 'inbound' ? source.ip : peer,
  };
}

function meshAttributes({ source, destination, mtls, verdict, reason, policy }: FlowFacts): Record<string, string | null> {
  return {
    'sallyport.source.principal': source.principal,
    'sallyport.destination.namespace': destination.namespace,
    'sallyport.destination.workload': destination.workload,
    'sallyport.mtls': mtls,
    'sallyport.verdict': verdict,
    'sallyport.reason': reason,
    'sallyport.policy': policy,
  };
}

function knownMethod(method: string | null): string {
  return method !== null && METHODS.has(method) ? method : '_OTHER';
}

/** A connection has no status to say that it was denied. Conventions: a server's span is an error from 500 on, a client's from 400 on. What failed without an answer is one on both. */
function failed({ facts, status }: Span): boolean {
  if (facts.protocol === 'tcp') return facts.verdict !== 'allowed';
  return facts.verdict === 'failed' || status >= 500 || (facts.side === 'outbound' && status >= 400);
}
