import type { RequestMessage } from './exchange.ts';
import { isGrpc } from './grpc-refusal.ts';

/** PROTOCOL-HTTP2.md: "Timeout → "grpc-timeout" TimeoutValue TimeoutUnit", a positive integer of at most 8 digits. */
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const MOST = 99_999_999;

/** Ms that the caller of gRPC gives for the whole call; Infinity for any other call, or when it does not say in gRPC's words. */
export function grpcTimeoutOf(request: RequestMessage): number {
  if (request.version !== '2') return Number.POSITIVE_INFINITY;
  const text = request.header('grpc-timeout');
  if (text === null || !isGrpc(request.header('content-type'))) return Number.POSITIVE_INFINITY;
  const [, digits, unit = ''] = TIMEOUT.exec(text) ?? [];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits) * (MS[unit] ?? 0);
}

/** What is left of it, for the next hop. */
export function grpcTimeoutText(ms: number): string {
  return ms <= MOST ? `${Math.max(1, Math.floor(ms))}m` : `${Math.min(MOST, Math.floor(ms / 1_000))}S`;
}
