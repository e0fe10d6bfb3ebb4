import type { CallView, DeniesView, ExplainRequest } from '@sallyport/shared/api';
import { pages } from '#lib/paths.ts';

/** A call as the form and the address hold it: text, '' for what is not given. */
export interface CallText {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly protocol: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly ip: string;
  readonly remoteIp: string;
  readonly headers: string;
  readonly sni: string;
  readonly claims: string;
}

export const NO_CALL: CallText = { from: '', to: '', port: '', protocol: '', method: '', path: '', host: '', ip: '', remoteIp: '', headers: '', sni: '', claims: '' };
const FIELDS = Object.keys(NO_CALL) as (keyof CallText)[];
/** Fields beyond who, where and what. */
const RARE: readonly (keyof CallText)[] = ['host', 'ip', 'remoteIp', 'headers', 'sni', 'claims'];

/** Reads the call of an address. */
export function callFrom(get: (name: string) => string): CallText {
  return Object.fromEntries(FIELDS.map((field) => [field, get(field)])) as unknown as CallText;
}

/** True when a field is given that the form keeps folded away. */
export function hasRare(call: CallText): boolean {
  return RARE.some((field) => call[field] !== '');
}

/** The question for the operator, or what is wrong with the form, by field. */
export function requestOf(call: CallText): { readonly ok: true; readonly request: ExplainRequest } | { readonly ok: false; readonly problems: Partial<Record<keyof CallText, string>> } {
  const problems: Partial<Record<keyof CallText, string>> = {};
  if (call.from.trim() === '') problems.from = 'Say who calls: a workload, a SPIFFE ID, or plaintext.';
  if (!/^[^/\s]+\/[^/\s]+$/.test(call.to.trim())) problems.to = 'Say who is called, as namespace/name.';
  const port = Number(call.port);
  if (call.port !== '' && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) problems.port = 'A whole number from 1 to 65535.';
  const headers = headersOf(call.headers);
  if (headers === null) problems.headers = 'Each as name: value, with " | " between two.';
  const claims = claimsOf(call.claims);
  if (claims === null) problems.claims = 'A JSON object, such as {"sub": "ann"}.';
  if (Object.keys(problems).length > 0 || headers === null || claims === null) return { ok: false, problems };
  const texts = (['method', 'path', 'host', 'ip', 'remoteIp', 'sni'] as const).flatMap((field) => (call[field].trim() === '' ? [] : [[field, call[field].trim()] as const]));
  return {
    ok: true,
    request: {
      from: call.from.trim(), to: call.to.trim(), ...(call.port === '' ? {} : { port }),
      ...(call.protocol === 'http' || call.protocol === 'tcp' ? { protocol: call.protocol } : {}),
      ...(Object.fromEntries(texts) as Partial<Record<(typeof texts)[number][0], string>>),
      ...(headers.length === 0 ? {} : { headers }), ...(claims === undefined ? {} : { claims }),
    },
  };
}

/** Headers of one line of text, ` | ` between them. */
function headersOf(text: string): { name: string; value: string }[] | null {
  const lines = text.split(/\n|\s\|\s/).map((line) => line.trim()).filter((line) => line !== '');
  const read = lines.map((line) => /^([^:=\s]+)\s*[:=]\s*(.*)$/.exec(line));
  return read.includes(null) ? null : read.map((match) => ({ name: match?.[1] ?? '', value: match?.[2] ?? '' }));
}

/** `undefined` when none are given, null when they cannot be read. */
function claimsOf(text: string): Record<string, unknown> | undefined | null {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** The page that explains a call that an analysis named. */
export function explainWitness(call: CallView): string {
  return pages.explain({
    from: call.principal ?? 'plaintext', to: call.workload, port: String(call.port), protocol: call.protocol, ip: call.ip,
    method: call.method ?? '', path: call.path ?? '', host: call.host ?? '', remoteIp: call.remoteIp ?? '',
    headers: call.headers.map(({ name, value }) => `${name}: ${value}`).join(' | '), sni: call.sni ?? '', claims: call.claims ?? '',
  });
}

/** The page that explains a call that a proxy refused, with what the proxy said then. */
export function explainDeny({ source, destination, method, path, reason, policy }: DeniesView['items'][number]): string {
  return pages.explain({
    from: source.principal ?? 'plaintext', ip: source.ip, to: `${destination.namespace}/${destination.workload || (destination.service ?? '')}`, port: String(destination.port),
    ...(method === null ? { protocol: 'tcp' } : { protocol: 'http', method, path: path ?? '/' }), was: reason, by: policy ?? '',
  });
}

/** A call on one line, for people. */
export function callLine(call: CallView): string {
  const what = call.protocol === 'tcp' ? 'a TCP connection' : `${call.method ?? 'GET'} ${call.path ?? '/'}`;
  const extras = [
    ...(call.host === null || call.host === '' ? [] : [`host ${call.host}`]), ...(call.remoteIp === null ? [] : [`for the client ${call.remoteIp}`]),
    ...call.headers.map(({ name, value }) => `${name}: ${value}`), ...(call.sni === null ? [] : [`SNI ${call.sni}`]), ...(call.claims === null ? [] : [`token ${call.claims}`]),
  ];
  return `${what} to ${call.workload}:${call.port} from ${call.principal ?? 'a plaintext peer'} at ${call.ip}${extras.length === 0 ? '' : `; ${extras.join('; ')}`}`;
}
