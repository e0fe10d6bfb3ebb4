import { ERROR, field } from '../wire/index.ts';
import type { AnswerHead, ResponseMessage, Trailers } from './exchange.ts';
import { DEADLINE_EXCEEDED, grpcStatusFields } from './grpc-refusal.ts';
import { H2Trailers } from './h2-message.ts';
import { H2Failure } from './h2-outgoing.ts';
import { RESERVED } from './reserved.ts';

/** No answer came in the time that there was. */
export class PatienceError extends Error {
  override readonly name = 'PatienceError';
}

/** How an answer went, by the trailers after its head. */
export function outcomeOf({ status }: ResponseMessage, trailers: Trailers): AnswerHead {
  return { status, header: (wanted) => trailers.toHttp2(RESERVED).find(({ name }) => name === wanted)?.value ?? null };
}

/**
 * What the caller is told of an answer that broke off. A service that cancels says so to gRPC's clients (RFC 9113 §7 CANCEL);
 * every other code is about our own connection to it, and REFUSED_STREAM would be a lie after an answer began.
 */
export function codeFor(error: Error): number {
  return error instanceof H2Failure && error.code === ERROR.CANCEL ? ERROR.CANCEL : ERROR.INTERNAL_ERROR;
}

/** What gRPC's callers are told of an answer whose time is over. */
export function lateTrailers(): Trailers {
  return new H2Trailers(grpcStatusFields(DEADLINE_EXCEEDED, 'the deadline is over').map(([name, value]) => field(name, value)));
}
