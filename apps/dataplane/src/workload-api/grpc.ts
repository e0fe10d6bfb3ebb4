/** The package-less service of the SPIFFE Workload API. */
export const SERVICE = 'SpiffeWorkloadAPI';
/** SPIFFE Workload Endpoint §3: the static metadata that every request must have, so that none is forged through a naive HTTP client. */
export const SECURITY_HEADER = { name: 'workload.spiffe.io', value: 'true' } as const;

/** gRPC status codes, as far as the SPIFFE Workload Endpoint §6 and the framing need them. */
export const STATUS = { OK: 0, UNKNOWN: 2, INVALID_ARGUMENT: 3, PERMISSION_DENIED: 7, RESOURCE_EXHAUSTED: 8, UNIMPLEMENTED: 12, INTERNAL: 13, UNAVAILABLE: 14 } as const;

/** An outcome of a call that is no message. The message is told to the caller. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const PREFIX = 5;

/** One message with its prefix: not compressed, and its length in four bytes. */
export function frameMessage(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Takes bytes and gives the messages that are complete. */
export class MessageReader {
  readonly #limit: number;
  #pending: Buffer = Buffer.alloc(0);

  /** @param limit largest message in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws GrpcError when a message is compressed or too large */
  take(bytes: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const messages: Buffer[] = [];
    while (this.#pending.length >= PREFIX) {
      if (this.#pending[0] !== 0) throw new GrpcError(STATUS.UNIMPLEMENTED, 'compressed messages are not taken');
      const length = this.#pending.readUInt32BE(1);
      if (length > this.#limit) throw new GrpcError(STATUS.RESOURCE_EXHAUSTED, `message is larger than ${this.#limit} bytes`);
      if (this.#pending.length < PREFIX + length) break;
      messages.push(this.#pending.subarray(PREFIX, PREFIX + length));
      this.#pending = this.#pending.subarray(PREFIX + length);
    }
    return messages;
  }
}

/** Percent-encodes what a `grpc-message` cannot hold as it is (gRPC over HTTP/2, "Status-Message"). */
export function encodeStatusMessage(text: string): string {
  return [...Buffer.from(text.slice(0, 500).trim(), 'utf8')].map((byte) => (byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)).join('');
}

/** What {@link encodeStatusMessage} made, for a log: "decoders MUST NOT error on invalid values", and none of it is believed. */
export function decodeStatusMessage(text: string): string {
  const bytes = text.slice(0, 1500).replace(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8').replace(/\p{Cc}/gu, ' ').slice(0, 300);
}
