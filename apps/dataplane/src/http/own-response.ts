import { STATUS_CODES } from 'node:http';
import type { FlowReason } from '@sallyport/shared/mesh';
import { compileRemoval, type Field, field, type FieldPair, fieldLine, type Removal, removesName } from '../wire/index.ts';
import type { Downstream, Edits, ResponseMessage } from './exchange.ts';
import { grpcRefusal } from './grpc-refusal.ts';
import { ownLines } from './http1-message.ts';

/** An answer in the proxy's own name. */
class OwnResponse implements ResponseMessage {
  readonly status: number;
  readonly size: number;
  readonly #pairs: readonly FieldPair[];

  /** @param pairs names in any case; they announce the body's length */
  constructor(status: number, pairs: readonly FieldPair[], size: number) {
    this.status = status;
    this.size = size;
    this.#pairs = pairs.map(([name, value]) => [name.toLowerCase(), value]);
  }

  header(name: string): string | null {
    return this.#pairs.find(([each]) => each === name)?.[1] ?? null;
  }

  fields(removal: Removal): FieldPair[] {
    return this.#pairs.filter(([name]) => !removesName(removal, name));
  }

  toHttp1({ removal, added }: Edits, { close }: { readonly close: boolean }): Buffer {
    let lines = '';
    for (const [name, value] of this.fields(removal)) lines += fieldLine(name, value);
    const connection = close ? 'connection: close\r\n' : '';
    return Buffer.from(`HTTP/1.1 ${this.status} ${STATUS_CODES[this.status] ?? ''}\r\n${lines}${ownLines(added)}${connection}\r\n`, 'latin1');
  }

  toHttp2({ removal, added }: Edits): Field[] {
    const pairs = this.fields(removal).map(([name, value]) => field(name, value));
    return [field(':status', String(this.status)), ...pairs, ...added.map((own) => own.field)];
  }
}

const AS_IT_IS: Edits = { removal: compileRemoval([], []), added: [] };

/** What a refusal says besides its status: more headers, or all headers and the body of somebody else's answer. */
export interface RefusalParts {
  readonly headers: readonly FieldPair[];
  /** Null for our own text. */
  readonly body: Buffer | null;
}

/** Answers in the proxy's own name. `text` is for people; `reason` for the other proxy and for the application. */
export function refuse(call: Downstream, status: number, reason: FlowReason, text: string, close: boolean, parts: RefusalParts = { headers: [], body: null }): void {
  const grpc = call.request.version === '2' ? grpcRefusal(call.request.header('content-type'), status, reason, text) : null;
  if (grpc !== null) return call.respond(new OwnResponse(grpc.status, grpc.fields, 0), AS_IT_IS, { end: true, close });
  const body = parts.body ?? Buffer.from(`sallyport: ${text}\n`);
  const pairs: FieldPair[] = [...parts.headers, ['content-length', String(body.length)], ['x-sallyport-reason', reason]];
  if (parts.body === null) pairs.push(['content-type', 'text/plain; charset=utf-8']);
  // RFC 9110 §9.3.2: "the server MUST NOT send content in the response" to HEAD.
  const end = call.request.method === 'HEAD' || body.length === 0;
  call.respond(new OwnResponse(status, pairs, body.length), AS_IT_IS, { end, close });
  if (end) return;
  call.write(body);
  call.end(null, AS_IT_IS.removal);
}

/** The whole answer to bytes that are no request, RFC 9112 §2.2 and §9.6. The connection ends with it. */
export function refusalOfBytes(status: number, reason: string): Buffer {
  const body = `sallyport: ${reason}\n`;
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nx-sallyport-reason: bad-request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`, 'latin1');
}
