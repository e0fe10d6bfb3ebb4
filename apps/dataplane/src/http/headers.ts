export type HeaderPair = readonly [name: string, value: string];

/** RFC 9110 §7.6.1: fields that concern one connection only. `transfer-encoding` is set anew by whoever frames the body. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'transfer-encoding', 'upgrade', 'te']);
/** Headers by which identity and verdicts travel between proxies: never taken from whoever is on the other side. */
export function isReserved(name: string): boolean {
  return name === 'x-forwarded-client-cert' || name.startsWith('x-sallyport-');
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

/** Values by lower-case name, each by itself: what policy conditions look at. */
export function distinct(pairs: readonly HeaderPair[]): Record<string, string[]> {
  const result: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of pairs) (result[name.toLowerCase()] ??= []).push(value);
  return result;
}

/** Pairs as the flat list that node:http takes. */
export function flat(pairs: readonly HeaderPair[]): string[] {
  return pairs.flatMap(([name, value]) => [name, value]);
}
