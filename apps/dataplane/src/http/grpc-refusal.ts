import type { FlowReason } from '@sallyport/shared/mesh';
import type { FieldPair } from '../wire/index.ts';
import type { AnswerHead } from './exchange.ts';

/** A refusal as a client of gRPC reads it: a head with status 200 and nothing after it. */
export interface GrpcRefusal {
  readonly status: 200;
  readonly fields: readonly FieldPair[];
}

/**
 * gRPC's `http-grpc-status-mapping.md` ("HTTP to gRPC Status Code Mapping") has these, as a client would have made them
 * of our status, except that 400 is INVALID_ARGUMENT as the request itself is at fault. Of those that it does not list
 * 413 and 431 are RESOURCE_EXHAUSTED, as asking again would not help, and 501 is UNIMPLEMENTED.
 */
const BY_STATUS: Readonly<Record<number, number>> = { 400: 3, 401: 16, 403: 7, 404: 12, 413: 8, 429: 14, 431: 8, 501: 12, 502: 14, 503: 14, 504: 14 };
/** INTERNAL: a status that says nothing to callers of gRPC. */
const OTHERWISE = 13;

/** UNAVAILABLE, as 504 is otherwise, would have clients ask again at once. */
export const DEADLINE_EXCEEDED = 4;

/** The media types of gRPC: `application/grpc` with `+proto` and the like. Not gRPC-Web, which has its trailers in the body. */
const GRPC = /^application\/grpc(?:\+[\w.-]{1,64})?(?=$|[\s;])/i;

export function isGrpc(contentType: string | null): boolean {
  return contentType !== null && GRPC.test(contentType);
}

/**
 * A refusal of a gRPC call as a trailers-only answer (PROTOCOL-HTTP2.md, "Responses": `Trailers-Only → HTTP-Status
 * Content-Type Trailers`), or null when the request is none of gRPC.
 *
 * @param contentType of the request
 */
export function grpcRefusal(contentType: string | null, status: number, reason: FlowReason, text: string): GrpcRefusal | null {
  const [type] = GRPC.exec(contentType ?? '') ?? [];
  if (type === undefined) return null;
  return {
    status: 200,
    fields: [
      ['content-type', type.toLowerCase()],
      ...grpcStatusFields(reason === 'timeout' ? DEADLINE_EXCEEDED : (BY_STATUS[status] ?? OTHERWISE), text),
      ['x-sallyport-reason', reason],
    ],
  };
}

/** PROTOCOL-HTTP2.md: `Status → "grpc-status" 1*DIGIT`, and its message. */
export function grpcStatusFields(status: number, text: string): FieldPair[] {
  return [['grpc-status', String(status)], ['grpc-message', percentEncoded(text)]];
}

/** The status of gRPC that an answer ends with, which only trailers and trailers-only answers have; null when it has none. */
export function grpcStatusOf(answer: AnswerHead): number | null {
  const text = answer.status === 200 ? answer.header('grpc-status') : null;
  return text !== null && /^\d{1,3}$/.test(text) ? Number(text) : null;
}

/** PROTOCOL-HTTP2.md: "Percent-Byte-Unencoded → 1*( %x20-%x24 / %x26-%x7E )", all else of the text's UTF-8 as `%XX`. */
function percentEncoded(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out.replace(/^ +| +$/g, (blanks) => '%20'.repeat(blanks.length));
}
