import type { ApiError } from '@sallyport/shared/api';
import { formatProblem, InvalidResourceError } from '@sallyport/shared/resources';
import { IssuanceError } from '../ca/authority.ts';
import { ParentError } from '../ca/parents/parent.ts';
import { RotationRefused } from '../ca/rotation.ts';
import { NotReadyError } from '../controllers/strict-step.ts';
import { ConflictError, NotFoundError, StoreAwayError } from '../store/ports.ts';

type Code = ApiError['error']['code'];

/** HTTP status of each error code. */
export const STATUS = {
  invalid: 400, unauthenticated: 401, forbidden: 403, 'not-found': 404, conflict: 409, precondition: 412,
  'too-large': 413, 'rate-limited': 429, internal: 500, unavailable: 503,
} as const satisfies Record<Code, number>;

/** A refusal with its code and what to do about it. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly code: Code;
  readonly remedy: string | undefined;
  constructor(code: Code, message: string, remedy?: string) {
    super(message);
    this.code = code;
    this.remedy = remedy;
  }
}

/** Turns anything thrown into the API's error body. What we did not foresee is `internal` and says nothing of its cause. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiFailure) return body(error.code, error.message, error.remedy);
  if (error instanceof InvalidResourceError) {
    const first = error.problems[0];
    const more = error.problems.length > 1 ? ` (and ${error.problems.length - 1} more)` : '';
    return { error: { code: 'invalid', message: `${first ? formatProblem(first) : 'invalid manifest'}${more}`, remedy: 'correct the named fields; nothing was changed', details: [...error.problems] } };
  }
  if (error instanceof ConflictError) return body('conflict', error.message, 'nothing was changed');
  if (error instanceof NotFoundError) return body('not-found', error.message);
  if (error instanceof NotReadyError) return body('precondition', error.message, 'clear the blockers that `strict plan` names, then try again; nothing was changed');
  if (error instanceof IssuanceError) return body('unavailable', error.message, error.remedy);
  if (error instanceof RotationRefused) return body('precondition', error.message, error.remedy);
  if (error instanceof ParentError) return body('precondition', error.message, 'what signs now goes on; mend the parent, then try again');
  if (error instanceof StoreAwayError) return body('unavailable', `the API server did not do it: ${error.message}`, 'read the object again before a retry: the write may have taken place');
  if (isDatabaseAway(error)) return body('unavailable', 'the database cannot be reached now', 'it is tried again with every request; retry in a moment');
  return body('internal', 'the operator failed on this request; its log has the details');
}

function body(code: Code, message: string, remedy?: string): ApiError {
  return { error: { code, message, ...(remedy === undefined ? {} : { remedy }) } };
}

/** Prisma's "cannot reach", "timed out" and "connection closed", and what pg and its pool throw below it. */
function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return ['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'ECONNREFUSED', 'ECONNRESET', '57P01', '57P03'].includes(code) || /terminat|ECONNREFUSED|not reachable|Can't reach|Connection|timeout exceeded when trying to connect/.test(error.message);
}
