import type { TokenLocation } from '@sallyport/shared/policy';
import type { HeaderPair } from '../http/headers.ts';

/** The parts of a request in which a token may be. `query` has its question mark, or is ''. */
export interface TokenCarrier {
  readonly headers: readonly HeaderPair[];
  readonly query: string;
}

/** A token's text and the place where it was found. */
export interface FoundToken {
  readonly location: TokenLocation;
  readonly text: string;
}

/** Every token that is at one of the places, in the order of places. */
export function findTokens(locations: readonly TokenLocation[], carrier: TokenCarrier): FoundToken[] {
  return locations.flatMap((location) => textsAt(location, carrier).map((text) => ({ location, text })));
}

function textsAt(location: TokenLocation, { headers, query }: TokenCarrier): string[] {
  if (location.kind === 'param') return paramsOf(query).filter(({ name }) => name === location.name).map(({ value }) => value);
  if (location.kind === 'cookie') return headers.flatMap(([name, value]) => (name.toLowerCase() === 'cookie' ? cookiesOf(value) : [])).filter(({ name }) => name === location.name).map(({ value }) => value);
  return headers.filter(([name, value]) => name.toLowerCase() === location.name && value.startsWith(location.prefix)).map(([, value]) => value.slice(location.prefix.length));
}

/** The request without those tokens; everything else stays as it came, byte by byte. */
export function stripTokens(carrier: TokenCarrier, tokens: readonly FoundToken[]): TokenCarrier {
  return tokens.reduce(strip, carrier);
}

function strip(carrier: TokenCarrier, { location, text }: FoundToken): TokenCarrier {
  const { headers, query } = carrier;
  if (location.kind === 'param') {
    const kept = paramsOf(query).filter(({ name, value }) => name !== location.name || value !== text);
    return { headers, query: kept.length === 0 ? '' : `?${kept.map(({ raw }) => raw).join('&')}` };
  }
  if (location.kind === 'cookie') return { headers: headers.flatMap((pair) => withoutCookie(pair, location.name, text)), query };
  return { headers: headers.filter(([name, value]) => name.toLowerCase() !== location.name || value !== `${location.prefix}${text}`), query };
}

function withoutCookie([name, value]: HeaderPair, cookie: string, text: string): HeaderPair[] {
  if (name.toLowerCase() !== 'cookie') return [[name, value]];
  const kept = cookiesOf(value).filter((item) => item.name !== cookie || item.value !== text);
  return kept.length === 0 ? [] : [[name, kept.map(({ raw }) => raw).join('; ')]];
}

interface NamedPart {
  readonly name: string;
  readonly value: string;
  readonly raw: string;
}

/** `application/x-www-form-urlencoded` (RFC 6750 §2.3 names it for tokens): `+` is a space, the rest is percent-encoded. */
function paramsOf(query: string): NamedPart[] {
  if (query.length < 2) return [];
  return query.slice(1).split('&').map((raw) => {
    const equals = raw.indexOf('=');
    const [name, value] = equals < 0 ? [raw, ''] : [raw.slice(0, equals), raw.slice(equals + 1)];
    return { name: decoded(name), value: decoded(value), raw };
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    // A broken escape is no name that a rule can have, and no token.
    return text;
  }
}

/** RFC 6265 §4.2: pairs divided by `;`; a value may stand in double quotes. */
function cookiesOf(header: string): NamedPart[] {
  return header.split(';').map((part) => {
    const raw = part.trim();
    const equals = raw.indexOf('=');
    const value = equals < 0 ? '' : raw.slice(equals + 1).trim();
    return { name: equals < 0 ? raw : raw.slice(0, equals).trim(), value: /^".*"$/.test(value) ? value.slice(1, -1) : value, raw };
  });
}
