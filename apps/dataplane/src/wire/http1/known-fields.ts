import { equalsIgnoreCase } from '../bytes.ts';

/** Fields that framing and routing look at. Each is a bit, so that sets of them are numbers. */
export const FIELD = {
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 4,
  CONNECTION: 8,
  KEEP_ALIVE: 16,
  PROXY_CONNECTION: 32,
  UPGRADE: 64,
  EXPECT: 128,
  TE: 256,
  TRAILER: 512,
  PROXY_AUTHENTICATE: 1024,
  PROXY_AUTHORIZATION: 2048,
  HTTP2_SETTINGS: 4096,
  TRACEPARENT: 8192,
  CLIENT_CERT: 16_384,
  WEB_SOCKET: 32_768,
} as const;

const NAMES: Readonly<Record<keyof typeof FIELD, string>> = {
  HOST: 'host',
  CONTENT_LENGTH: 'content-length',
  TRANSFER_ENCODING: 'transfer-encoding',
  CONNECTION: 'connection',
  KEEP_ALIVE: 'keep-alive',
  PROXY_CONNECTION: 'proxy-connection',
  UPGRADE: 'upgrade',
  EXPECT: 'expect',
  TE: 'te',
  TRAILER: 'trailer',
  PROXY_AUTHENTICATE: 'proxy-authenticate',
  PROXY_AUTHORIZATION: 'proxy-authorization',
  HTTP2_SETTINGS: 'http2-settings',
  TRACEPARENT: 'traceparent',
  CLIENT_CERT: 'x-forwarded-client-cert',
  WEB_SOCKET: 'sec-websocket-key',
};

interface Known {
  readonly name: string;
  readonly bit: number;
}

const BY_LENGTH: (readonly Known[] | undefined)[] = [];
for (const [key, name] of Object.entries(NAMES) as [keyof typeof FIELD, string][]) know(name, FIELD[key]);
// RFC 6455 §4.2.2: what answers the key, in the other direction.
know('sec-websocket-accept', FIELD.WEB_SOCKET);

function know(name: string, bit: number): void {
  BY_LENGTH[name.length] = [...(BY_LENGTH[name.length] ?? []), { name, bit }];
}

/**
 * Fields that end with this connection.
 *
 * RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
 * each connection-option in this field, remove any header or trailer field(s) from the message with the same name".
 * Framing (`content-length`, `transfer-encoding`) is not in this set: whoever frames the body anew says so.
 */
export const HOP_BY_HOP =
  FIELD.CONNECTION | FIELD.KEEP_ALIVE | FIELD.PROXY_CONNECTION | FIELD.UPGRADE | FIELD.TE | FIELD.PROXY_AUTHENTICATE | FIELD.PROXY_AUTHORIZATION | FIELD.HTTP2_SETTINGS;

/** Fields that a proxy writes itself. The first of each is not counted: what the last hop added must not be one too many for the next. */
export const NOT_COUNTED = HOP_BY_HOP | FIELD.CONTENT_LENGTH | FIELD.TRANSFER_ENCODING | FIELD.TRACEPARENT | FIELD.CLIENT_CERT | FIELD.WEB_SOCKET;

/** The bit of a field's name, or 0 for one that only the ends care about. */
export function knownField(buffer: Buffer, start: number, end: number): number {
  const known = BY_LENGTH[end - start];
  if (known === undefined) return 0;
  for (const { name, bit } of known) if (equalsIgnoreCase(buffer, start, end, name)) return bit;
  return 0;
}
