import { Fields, type FieldPair } from './fields.ts';
import { FIELD } from './known-fields.ts';
import { emptyStartLine, type StartLine } from './start-line.ts';

/** How a body is delimited. */
export const BODY = { NONE: 0, LENGTH: 1, CHUNKED: 2, UNTIL_CLOSE: 3 } as const;
export type BodyKind = (typeof BODY)[keyof typeof BODY];

/** The form of a request target, RFC 9112 §3.2. */
export type TargetForm = 'origin' | 'absolute' | 'asterisk';

/**
 * The head of a message, as offsets into the bytes it came in. One object serves all messages of a connection: what it
 * says is valid until the next message is begun, except texts.
 */
class Head {
  readonly fields = new Fields();
  readonly line: StartLine = emptyStartLine();
  body: BodyKind = BODY.NONE;
  /** The announced length when {@link body} is LENGTH. */
  length = 0;
  /** Where the head starts in its bytes. It ends at `fields.end + 2`. */
  start = 0;
  /** False when the connection ends with this message (`Connection: close`, or HTTP/1.0 without `keep-alive`). */
  persistent = true;
  /** True when `Connection` names `upgrade` and there is an `Upgrade` field. */
  upgrade = false;
  /** True when `Connection` names fields of its own. */
  nominates = false;

  get buffer(): Buffer {
    return this.fields.buffer;
  }

  /** 0 for HTTP/1.0, else 1. */
  get minor(): 0 | 1 {
    return this.line.minor;
  }

  /** The value of the first field of this name (given in lower case), or null. */
  header(name: string): string | null {
    const index = this.fields.find(name);
    return index < 0 ? null : this.fields.value(index);
  }

  /** All headers as text, names in lower case. */
  headers(): FieldPair[] {
    return this.fields.list();
  }
}

export class RequestHead extends Head {
  form: TargetForm = 'origin';
  /** Where path and query start in an absolute target; an empty path has start and end in one place. */
  pathStart = 0;
  /** Where the effective authority is: in the Host field, or in an absolute target. */
  hostStart = 0;
  hostEnd = 0;
  /** True when the client waits for `100 Continue` before it sends the body. */
  expectsContinue = false;

  get method(): string {
    return this.line.method;
  }

  /** The target in origin form (`/path?query`) or `*`, as it came: the policy's normal form is made of it. */
  get target(): string {
    const { targetEnd } = this.line;
    // RFC 9112 §3.2.1: "If the target URI's path component is empty, the client MUST send "/" as the path".
    if (this.pathStart === targetEnd) return this.method === 'OPTIONS' ? '*' : '/';
    const text = this.buffer.toString('latin1', this.pathStart, targetEnd);
    return text.startsWith('?') ? `/${text}` : text;
  }

  /** The authority that the request is for, as it came. */
  get host(): string {
    return this.buffer.toString('latin1', this.hostStart, this.hostEnd);
  }
}

/** RFC 2068 §19.7.1.1, which servers still follow: `Keep-Alive: timeout=5, max=100`. */
const TIMEOUT = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,6})/i;

export class ResponseHead extends Head {
  /** Seconds that the server says it keeps the connection without a request; Infinity when it does not say. */
  get keptFor(): number {
    if ((this.fields.seen & FIELD.KEEP_ALIVE) === 0) return Number.POSITIVE_INFINITY;
    const [, said] = TIMEOUT.exec(this.fields.value(this.fields.known(FIELD.KEEP_ALIVE))) ?? [];
    return said === undefined ? Number.POSITIVE_INFINITY : Number(said);
  }

  get status(): number {
    return this.line.status;
  }

  get reason(): string {
    return this.buffer.toString('latin1', this.line.reasonStart, this.line.reasonEnd);
  }
}
