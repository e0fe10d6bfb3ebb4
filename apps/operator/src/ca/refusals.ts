import { IssuanceError } from './authority.ts';
import { OverLimitError } from './issuance-limit.ts';

/** Why a request got no SVID: the label of the metric. */
export const REFUSALS = ['bad-request', 'not-attested', 'not-entitled', 'rate-limited', 'ca-unavailable', 'attestor-unavailable', 'not-recorded'] as const;
type Refusal = (typeof REFUSALS)[number];
const STATUS_REASON = { 400: 'bad-request', 401: 'not-attested', 403: 'not-entitled', 404: 'not-attested' } as const;

/** A refusal of an identity request. `status` is the HTTP status that carries it. */
export class AttestationError extends Error {
  override readonly name = 'AttestationError';
  readonly status: keyof typeof STATUS_REASON;
  constructor(status: keyof typeof STATUS_REASON, message: string) {
    super(message);
    this.status = status;
  }
}

/** A refusal that a proxy gets with the time after which it may ask again, in seconds. */
export class BusyError extends Error {
  override readonly name: string = 'BusyError';
  readonly status: 429 | 503;
  readonly retryAfter: number;
  constructor(status: 429 | 503, message: string, retryAfter: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Who has to say whether a proof is good cannot be asked now. */
export class AttestorAwayError extends BusyError {
  override readonly name = 'AttestorAwayError';
  constructor(message: string) {
    super(503, message, 5);
  }
}

/** No use in asking a CA that cannot issue every second: somebody has to mend it first. */
export const UNAVAILABLE_RETRY_S = 30;

/** A failure with its label, in the form that carries its status. */
export function asRefusal(error: unknown): { reason: Refusal; error: unknown } {
  if (error instanceof AttestationError) return { reason: STATUS_REASON[error.status], error };
  if (error instanceof OverLimitError) return { reason: 'rate-limited', error: new BusyError(429, error.message, error.retryAfter) };
  if (error instanceof IssuanceError) return { reason: 'ca-unavailable', error: new BusyError(503, `${error.message}; ${error.remedy}`, UNAVAILABLE_RETRY_S) };
  if (error instanceof AttestorAwayError) return { reason: 'attestor-unavailable', error };
  return { reason: error instanceof BusyError ? 'ca-unavailable' : 'not-recorded', error };
}
