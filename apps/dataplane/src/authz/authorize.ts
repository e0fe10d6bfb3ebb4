import { decideTarget, type TargetDecision } from '@sallyport/shared/policy';
import type { ServedWorkload } from './snapshot.ts';

/** The peer of a connection and the place that it reached, as policy sees them. */
export interface ConnectionFacts {
  readonly principal: string | null;
  readonly ip: string;
  readonly localIp: string;
}

/** The parts of an HTTP request that policy may look at; `target` is the raw request target. */
export interface HttpFacts {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** Decides one request or, without `http`, one connection. The only place where the data plane asks for a verdict. */
export function authorize(workload: ServedWorkload, port: number, { principal, ip, localIp }: ConnectionFacts, http: HttpFacts | null): TargetDecision {
  const common = { source: { principal, ip }, destination: { ip: localIp, port } };
  return decideTarget(workload.policy, http ? { ...common, protocol: 'http', http } : { ...common, protocol: 'tcp' });
}
