import type { ClientHttp2Session } from 'node:http2';
import type { z } from 'zod';
import type { svidResponse } from '@sallyport/shared/push';
import { PushFailure } from '../config-stream/operator-session.ts';

export type SvidResponse = z.infer<typeof svidResponse>;

/** A way to show the operator, at its join port, who this proxy is. */
export interface Proof {
  /** @returns the SVID for `csr`. @throws Error with the remedy when the operator does not believe it */
  present(session: ClientHttp2Session, csr: string): Promise<SvidResponse>;
}

/** True for an answer that will be the same until somebody does something. */
export function isRefused(error: unknown): error is PushFailure {
  return error instanceof PushFailure && (error.status === 401 || error.status === 403 || error.status === 404);
}

export function withRemedy(error: Error, remedy: string): Error {
  return new Error(`${error.message}. ${remedy}`, { cause: error });
}
