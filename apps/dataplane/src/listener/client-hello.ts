/** What the first bytes of a connection are, as far as TLS goes: `more` must come, no ClientHello, or one with this name. */
export type Hello = 'more' | 'none' | { readonly serverName: string | null };

/** RFC 8446 §5.1: record type, and the largest plaintext record. */
const HANDSHAKE = 22;
const MAX_RECORD = 16_384;
const RECORD_HEADER = 5;
/** RFC 8446 §4: a handshake message's type and length. */
const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;
/** A ClientHello with the keys of post-quantum groups has about 2 KiB. */
const MAX_HELLO = 16_384;
/** With the headers of the records that somebody cut it into. */
const MAX_BYTES = 32_768;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** Reads the ClientHello at the beginning of a connection, however it was cut into records (RFC 8446 §5.1). Never throws. */
export function readClientHello(bytes: Buffer): Hello {
  const parts: Buffer[] = [];
  let have = 0;
  let want = MESSAGE_HEADER;
  for (let at = 0; have < want; ) {
    if (at > MAX_BYTES) return 'none';
    const problem = recordProblem(bytes, at);
    if (problem !== null) return problem;
    const end = at + RECORD_HEADER + bytes.readUInt16BE(at + 3);
    const part = bytes.subarray(at + RECORD_HEADER, Math.min(end, bytes.length));
    parts.push(part);
    have += part.length;
    if (want === MESSAGE_HEADER && have >= MESSAGE_HEADER) {
      const head = Buffer.concat(parts, MESSAGE_HEADER);
      want += head.readUIntBE(1, 3);
      if (head[0] !== CLIENT_HELLO || want > MAX_HELLO) return 'none';
    }
    if (end > bytes.length && have < want) return 'more';
    at = end;
  }
  return readBody(new Reading(Buffer.concat(parts, want).subarray(MESSAGE_HEADER)));
}

/** RFC 8446 §5.1: "Implementations MUST NOT send zero-length fragments of Handshake types". */
function recordProblem(bytes: Buffer, at: number): 'more' | 'none' | null {
  if (at < bytes.length && bytes[at] !== HANDSHAKE) return 'none';
  if (at + 1 < bytes.length && bytes[at + 1] !== 3) return 'none';
  if (at + RECORD_HEADER > bytes.length) return 'more';
  const length = bytes.readUInt16BE(at + 3);
  return length === 0 || length > MAX_RECORD ? 'none' : null;
}

/** RFC 8446 §4.1.2: version, random, session id, cipher suites, compression methods, extensions. */
function readBody(body: Reading): Hello {
  body.skip(2 + 32);
  body.skip(body.number(1));
  body.skip(body.number(2));
  body.skip(body.number(1));
  // RFC 5246 §7.4.1.2: TLS 1.2 knows hellos without extensions.
  if (!body.failed && body.left === 0) return { serverName: null };
  const extensions = body.part(body.number(2));
  if (body.failed || body.left > 0) return 'none';
  let found: string | null = null;
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const content = extensions.part(extensions.number(2));
    if (extensions.failed) return 'none';
    if (type !== SERVER_NAME) continue;
    const name: string | null = found === null ? readServerName(content) : null;
    if (name === null) return 'none';
    found = name;
  }
  return { serverName: found };
}

/** RFC 6066 §3: `ServerNameList`; "The ServerNameList MUST NOT contain more than one name of the same name_type". */
function readServerName(content: Reading): string | null {
  const list = content.part(content.number(2));
  if (content.failed || content.left > 0 || list.number(1) !== HOST_NAME) return null;
  const name = list.part(list.number(2));
  if (list.failed || list.left > 0) return null;
  const text = name.text().toLowerCase();
  // "ASCII encoding without a trailing dot"; RFC 1035 §2.3.4: 255 octets at most.
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(text) && text.length <= 253 ? text : null;
}

/** Takes numbers and parts from bytes; what would reach past their end fails, and so does all that follows. */
class Reading {
  failed = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: 1 | 2): number {
    const from = this.#at;
    return this.skip(size) ? this.#bytes.readUIntBE(from, size) : 0;
  }

  part(size: number): Reading {
    const from = this.#at;
    return new Reading(this.skip(size) ? this.#bytes.subarray(from, from + size) : this.#bytes.subarray(0, 0));
  }

  text(): string {
    return this.#bytes.toString('latin1');
  }

  skip(size: number): boolean {
    if (size > this.left) this.failed = true;
    else this.#at += size;
    return !this.failed;
  }
}
