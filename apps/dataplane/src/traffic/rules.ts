import { gatewayDurationMs, grpcStatusNumber, type TrafficPolicySpec } from '@sallyport/shared/resources';

/** A traffic policy in the form that calls are carried by: times in ms, without what it does not say. */
export interface TrafficRules {
  /** Infinity where there is no limit. */
  readonly timeouts: { readonly request: number; readonly backendRequest: number };
  readonly retry: RetryRules | null;
  readonly mirror: MirrorRules | null;
  readonly faults: FaultRules;
  readonly balancer: BalancerRules;
  readonly breaker: BreakerRules;
  readonly outliers: OutlierRules | null;
}

export interface RetryRules {
  readonly codes: ReadonlySet<number>;
  /** Statuses of gRPC. */
  readonly grpc: ReadonlySet<number>;
  readonly attempts: number;
  readonly backoff: number;
  /** Methods besides the idempotent ones that the policy declares to be repeatable. */
  readonly methods: ReadonlySet<string>;
  readonly budget: BudgetRules;
}

export interface BudgetRules {
  /** 0 to 1. */
  readonly share: number;
  readonly interval: number;
  readonly minimum: { readonly count: number; readonly interval: number };
}

interface MirrorRules {
  readonly service: string;
  /** Null: the port that was called. */
  readonly port: number | null;
  /** 0 to 1. */
  readonly share: number;
}

/** Shares are 0 to 1. */
export interface FaultRules {
  readonly delay: { readonly share: number; readonly ms: number } | null;
  readonly abort: { readonly share: number; readonly answer: InjectedAnswer } | null;
}

/** What a caller gets in the place of the service's answer. */
export type InjectedAnswer = { readonly httpStatus: number } | { readonly grpcStatus: number };

interface BalancerRules {
  /** `leastOfAll` is what holds without a policy. */
  readonly type: 'leastOfAll' | 'leastOfTwo' | 'hash';
  readonly key: { readonly header: string } | { readonly cookie: string } | { readonly source: true } | null;
  /** Envoy's overprovisioning factor, 1 and more; null when nearness does not count. */
  readonly locality: { readonly factor: number } | null;
}

/** Infinity where there is no limit. */
interface BreakerRules {
  readonly connections: number;
  readonly requests: number;
  readonly pending: number;
}

export interface OutlierRules {
  readonly failures: number;
  readonly interval: number;
  readonly base: number;
  readonly maxEjected: number;
  readonly minHealthy: number;
}

/** What holds for a service without a policy. */
export const NO_RULES: TrafficRules = {
  timeouts: { request: Number.POSITIVE_INFINITY, backendRequest: Number.POSITIVE_INFINITY },
  retry: null,
  mirror: null,
  faults: { delay: null, abort: null },
  balancer: { type: 'leastOfAll', key: null, locality: null },
  breaker: { connections: Number.POSITIVE_INFINITY, requests: Number.POSITIVE_INFINITY, pending: 0 },
  outliers: null,
};

/** Reads a policy that passed its schema. */
export function rulesOf(spec: TrafficPolicySpec): TrafficRules {
  const { circuitBreaker: breaker } = spec;
  return {
    timeouts: { request: limitMs(spec.timeouts?.request), backendRequest: limitMs(spec.timeouts?.backendRequest) },
    retry: retryOf(spec),
    mirror: mirrorOf(spec),
    faults: faultsOf(spec.fault),
    balancer: balancerOf(spec.loadBalancer),
    breaker: { connections: breaker?.maxConnections ?? Number.POSITIVE_INFINITY, requests: breaker?.maxRequests ?? Number.POSITIVE_INFINITY, pending: breaker?.maxPendingRequests ?? 0 },
    outliers: outliersOf(spec.outlierDetection),
  };
}

/** GEP-1742: "A zero-valued timeout ("0s") MUST be interpreted as disabling the timeout." */
function limitMs(text: string | undefined): number {
  const ms = text === undefined ? 0 : gatewayDurationMs(text);
  return ms === 0 ? Number.POSITIVE_INFINITY : ms;
}

/** GEP-3388's defaults, for a policy with `retry` and without `retryConstraint`. */
const DEFAULT_BUDGET: BudgetRules = { share: 0.2, interval: 10_000, minimum: { count: 10, interval: 1_000 } };

function retryOf({ retry, retryConstraint }: TrafficPolicySpec): RetryRules | null {
  if (retry === undefined) return null;
  return {
    codes: new Set(retry.codes),
    grpc: new Set(retry.grpcStatuses?.map(grpcStatusNumber)),
    attempts: retry.attempts,
    backoff: gatewayDurationMs(retry.backoff),
    methods: new Set(retry.methods),
    budget: retryConstraint === undefined ? DEFAULT_BUDGET : budgetOf(retryConstraint),
  };
}

function budgetOf({ budget, minRetryRate }: NonNullable<TrafficPolicySpec['retryConstraint']>): BudgetRules {
  return {
    share: budget.percent / 100,
    interval: gatewayDurationMs(budget.interval),
    minimum: { count: minRetryRate.count, interval: gatewayDurationMs(minRetryRate.interval) },
  };
}

function mirrorOf({ requestMirror }: TrafficPolicySpec): MirrorRules | null {
  if (requestMirror === undefined) return null;
  const { backendRef, percent, fraction } = requestMirror;
  const share = fraction === undefined ? (percent ?? 100) / 100 : fraction.numerator / fraction.denominator;
  return { service: backendRef.name, port: backendRef.port ?? null, share };
}

function faultsOf(fault: TrafficPolicySpec['fault']): FaultRules {
  return {
    delay: fault?.delay ? { share: fault.delay.percentage.value / 100, ms: gatewayDurationMs(fault.delay.fixedDelay) } : null,
    abort: fault?.abort ? { share: fault.abort.percentage.value / 100, answer: answerOf(fault.abort) } : null,
  };
}

function answerOf({ httpStatus, grpcStatus }: NonNullable<NonNullable<TrafficPolicySpec['fault']>['abort']>): InjectedAnswer {
  if (grpcStatus !== undefined) return { grpcStatus: grpcStatusNumber(grpcStatus) };
  return { httpStatus: httpStatus ?? 500 };
}

function balancerOf(balancer: TrafficPolicySpec['loadBalancer']): BalancerRules {
  const near = balancer?.localityLbSetting;
  const hash = balancer?.consistentHash;
  return {
    type: hash ? 'hash' : 'leastOfTwo',
    key: keyOf(hash),
    locality: near?.enabled ? { factor: near.overprovisioningFactor / 100 } : null,
  };
}

function keyOf(hash: NonNullable<TrafficPolicySpec['loadBalancer']>['consistentHash']): BalancerRules['key'] {
  if (hash?.header !== undefined) return { header: hash.header.toLowerCase() };
  if (hash?.cookie !== undefined) return { cookie: hash.cookie };
  return hash?.sourceIP ? { source: true } : null;
}

function outliersOf(detection: TrafficPolicySpec['outlierDetection']): OutlierRules | null {
  if (detection === undefined) return null;
  return {
    failures: detection.consecutive5xxErrors,
    interval: gatewayDurationMs(detection.interval),
    base: gatewayDurationMs(detection.baseEjectionTime),
    maxEjected: detection.maxEjectionPercent / 100,
    minHealthy: detection.minHealthPercent / 100,
  };
}
