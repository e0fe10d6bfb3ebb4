import { z } from 'zod';
import { checked, notEmpty } from './checks.ts';
import { dnsLabel, gatewayDuration, gatewayDurationMs, port } from './meta.ts';

const headerName = z.string().min(1).max(128).regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be an HTTP header name');
const cookieName = z.string().min(1).max(128).regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be a cookie name');

/** Gateway API policy attachment (GEP-713), to Services of the policy's own namespace alone. */
const targetRefs = z.array(z.strictObject({
  group: z.enum(['', 'sallyport.dev']).default('sallyport.dev').describe('API group of the object.'),
  kind: z.literal('Service').describe('Kind of the object.'),
  name: dnsLabel.describe('Name of the Service, in the policy’s own namespace.'),
})).min(1).max(16).describe('The Services whose calls this rules (Gateway API, GEP-713). Of several policies for one Service the oldest rules, and the others say so in `Accepted`.');

/** Gateway API's BackendObjectReference, without `namespace`: traffic is not sent to a namespace that did not agree. */
const backend = {
  kind: z.literal('Service').default('Service').describe('Kind of the object.'),
  name: dnsLabel.describe('Name of a Service of the policy’s own namespace.'),
  port: port.optional().describe('Its port. Absent: the port that was called.'),
} as const;

const timeouts = checked(
  notEmpty(z.strictObject({
    request: gatewayDuration('0s', '1h').optional().describe('From the end of the request’s head to the head of the answer, with all attempts and what they wait. `0s` or absent: no limit.'),
    backendRequest: gatewayDuration('0s', '1h').optional().describe('The same for one attempt. `0s` or absent: as `request`.'),
  }), 'must name request or backendRequest'),
  {
    // GEP-1742: "the value of BackendRequest must be <= the value of Request timeout"; zero disables.
    test: ({ request, backendRequest }) => request === undefined || backendRequest === undefined || gatewayDurationMs(request) === 0 || gatewayDurationMs(backendRequest) <= gatewayDurationMs(request),
    cel: "!(has(self.request) && has(self.backendRequest)) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
    field: 'backendRequest',
    message: 'must not be longer than request',
  },
);

/** RFC-like names of gRPC's status codes, as Istio's `abort.grpcStatus` takes them, by their number. */
const GRPC_STATUS = ['CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'] as const;

const retry = z.strictObject({
  codes: z.array(z.int().min(400).max(599)).min(1).max(32).optional().describe('Status codes of answers upon which the call is sent again. Absent: none; broken connections and attempts that took too long are tried again in any case.'),
  grpcStatuses: z.array(z.enum(GRPC_STATUS)).min(1).max(GRPC_STATUS.length).optional().describe('The same for statuses of gRPC, before any message of the answer. Naming one declares that a repetition after it does no harm: `methods` need not name POST.'),
  attempts: z.int().min(1).max(10).default(1).describe('How often a call is sent again at most.'),
  backoff: gatewayDuration('1ms', '10s').default('25ms').describe('The least time before the first repetition. It doubles with each, up to tenfold, and up to half of it is added by chance.'),
  methods: z.array(z.enum(['POST', 'PATCH'])).min(1).max(2).optional().describe('Methods that may be sent again besides the idempotent ones (GET, HEAD, OPTIONS, TRACE, PUT, DELETE): you declare that a repetition does no harm.'),
});

const retryConstraint = z.strictObject({
  budget: z.strictObject({
    percent: z.int().min(0).max(100).default(20).describe('Repetitions in percent of the calls of `interval`.'),
    interval: gatewayDuration('1s', '1h').default('10s').describe('The stretch of time in which calls count.'),
  }).prefault({}).describe('How much of the load may be repetitions.'),
  minRetryRate: z.strictObject({
    count: z.int().min(0).max(1_000_000).default(10).describe('Repetitions in `interval`.'),
    interval: gatewayDuration('1s', '1h').default('1s').describe('The stretch of time.'),
  }).prefault({}).describe('What is allowed in any case, so that a little load can be repeated too.'),
});

const backendRefs = checked(
  z.array(z.strictObject({ ...backend, weight: z.int().min(0).max(1_000_000).default(1).describe('Its share of the calls is its weight by the sum of all.') })).min(1).max(16),
  { test: (refs) => refs.some(({ weight }) => weight > 0), cel: 'self.exists(ref, ref.weight > 0)', message: 'at least one weight must be more than 0' },
);

const fraction = checked(
  z.strictObject({
    numerator: z.int().min(0).max(1_000_000).describe('Upper part.'),
    denominator: z.int().min(1).max(1_000_000).default(100).describe('Lower part.'),
  }),
  { test: (value) => value.numerator <= value.denominator, cel: 'self.numerator <= self.denominator', field: 'numerator', message: 'must not be more than denominator' },
);

const requestMirror = checked(
  z.strictObject({
    backendRef: z.strictObject(backend).describe('Who gets the copies.'),
    percent: z.int().min(0).max(100).optional().describe('How many of a hundred calls are copied. Absent, with `fraction` absent too: all.'),
    fraction: fraction.optional().describe('The same as a fraction. Excludes `percent`.'),
  }),
  { test: (mirror) => mirror.percent === undefined || mirror.fraction === undefined, cel: '!(has(self.percent) && has(self.fraction))', field: 'fraction', message: 'percent and fraction exclude each other' },
);

const percentage = z.strictObject({ value: z.number().min(0).max(100).describe('Percent, such as 0.5.') }).describe('How many of a hundred calls.');

const abort = checked(
  z.strictObject({
    percentage,
    httpStatus: z.int().min(200).max(599).optional().describe('Status of the answer.'),
    grpcStatus: z.enum(GRPC_STATUS).optional().describe('gRPC status of the answer, which is 200 with it.'),
  }),
  { test: (value) => (value.httpStatus === undefined) !== (value.grpcStatus === undefined), cel: 'has(self.httpStatus) != has(self.grpcStatus)', message: 'needs exactly one of httpStatus and grpcStatus' },
);

const fault = notEmpty(z.strictObject({
  delay: z.strictObject({ percentage, fixedDelay: gatewayDuration('1ms', '5m').describe('How long a call waits before it is sent.') }).optional().describe('Makes calls slow.'),
  abort: abort.optional().describe('Answers calls in the place of the service, which does not get them.'),
}), 'must name delay or abort');

const loadBalancer = checked(
  z.strictObject({
    type: z.enum(['LeastRequest', 'ConsistentHash']).default('LeastRequest').describe('`LeastRequest`: the less loaded of two endpoints picked by chance. `ConsistentHash`: the same key goes to the same endpoint.'),
    consistentHash: checked(
      z.strictObject({
        header: headerName.optional().describe('The key is the value of this header.'),
        cookie: cookieName.optional().describe('The key is the value of this cookie. The proxy sets none.'),
        sourceIP: z.literal(true).optional().describe('The key is the address of the calling workload.'),
      }),
      {
        test: (hash) => [hash.header, hash.cookie, hash.sourceIP].filter((key) => key !== undefined).length === 1,
        cel: '[has(self.header), has(self.cookie), has(self.sourceIP)].filter(given, given).size() == 1',
        message: 'needs exactly one of header, cookie and sourceIP',
      },
    ).optional().describe('With `ConsistentHash`, and only with it. A call without the key goes by `LeastRequest`.'),
    localityLbSetting: z.strictObject({
      enabled: z.boolean().default(true).describe('Whether endpoints of the caller’s zone, then of its region, are preferred (`locality` of the Workload).'),
      overprovisioningFactor: z.int().min(100).max(1000).default(140).describe('Percent. With 140, calls begin to go farther when less than 100/140 (71 %) of the nearer endpoints are healthy.'),
    }).optional().describe('Absent: all endpoints are equally near.'),
  }),
  {
    test: (balancer) => (balancer.type === 'ConsistentHash') === (balancer.consistentHash !== undefined),
    cel: "(self.type == 'ConsistentHash') == has(self.consistentHash)",
    field: 'consistentHash',
    message: 'ConsistentHash needs consistentHash, and only ConsistentHash has it',
  },
);

const limit = z.int().min(1).max(1_000_000);

const circuitBreaker = notEmpty(z.strictObject({
  maxConnections: limit.optional().describe('Connections at once: those of a `tcp` port, and those that HTTP calls are made on, kept ones among them.'),
  maxRequests: limit.optional().describe('HTTP calls at once, WebSockets among them.'),
  maxPendingRequests: z.int().min(0).max(10_000).optional().describe('HTTP calls that wait while `maxRequests` are open, and as many that wait for one of `maxConnections`. Absent: none waits, and further ones are answered with 503 at once.'),
}), 'must name at least one limit');

const outlierDetection = z.strictObject({
  consecutive5xxErrors: z.int().min(1).max(1000).default(5).describe('So many failures in a row take an endpoint out of use: answers of 500 and more, connections that fail or break, attempts that took too long.'),
  interval: gatewayDuration('1s', '1h').default('10s').describe('After each such stretch without another ejection, the next one is shorter by one `baseEjectionTime`.'),
  baseEjectionTime: gatewayDuration('1s', '1h').default('30s').describe('How long the first ejection lasts. The second lasts twice as long, and so on, up to 5 minutes (or this, when it is longer).'),
  maxEjectionPercent: z.int().min(0).max(100).default(50).describe('Never more of the endpoints are out of use. One stays in any case.'),
  minHealthPercent: z.int().min(0).max(100).default(0).describe('When less of the endpoints are in use, all are used again: better a bad answer than the whole load upon a few. 0: never.'),
});

/** How calls of a service are carried. Gateway API's names where it has them, else Istio's. */
export const trafficPolicySpec = checked(
  z.strictObject({
    targetRefs,
    timeouts: timeouts.optional().describe('How long an answer may take (HTTPRoute `timeouts`). HTTP only.'),
    retry: retry.optional().describe('When a call is sent again (HTTPRoute `retry`, GEP-1731). HTTP only. Absent: once, to another endpoint, when nothing of it had been taken by anybody.'),
    retryConstraint: retryConstraint.optional().describe('The budget of repetitions (XBackendTrafficPolicy, GEP-3388). Absent, with `retry`: its defaults.'),
    backendRefs: backendRefs.optional().describe('The Services that calls are divided among, by weight. Absent: the called one alone. Their own traffic policies do not count here.'),
    requestMirror: requestMirror.optional().describe('Copies of calls for another Service, whose answers are thrown away (HTTPRoute filter `RequestMirror`). HTTP only.'),
    fault: fault.optional().describe('Faults to try out callers with (Istio’s `fault`). HTTP only.'),
    loadBalancer: loadBalancer.optional().describe('How an endpoint is chosen. Absent: `LeastRequest`.'),
    circuitBreaker: circuitBreaker.optional().describe('Limits of what one calling workload has open to the service (Envoy’s circuit breakers). Beyond them a call fails with the reason `overloaded`.'),
    outlierDetection: outlierDetection.optional().describe('Takes endpoints that fail out of use for a time (Istio’s `outlierDetection`). Absent: none is.'),
  }),
  {
    test: (spec) => spec.retryConstraint === undefined || spec.retry !== undefined,
    cel: '!has(self.retryConstraint) || has(self.retry)',
    field: 'retryConstraint',
    message: 'has no effect without retry; add one',
  },
  {
    test: ({ circuitBreaker: breaker }) => breaker?.maxPendingRequests === undefined || breaker.maxRequests !== undefined || breaker.maxConnections !== undefined,
    cel: '!has(self.circuitBreaker) || !has(self.circuitBreaker.maxPendingRequests) || has(self.circuitBreaker.maxRequests) || has(self.circuitBreaker.maxConnections)',
    field: 'circuitBreaker',
    message: 'maxPendingRequests has no effect without maxRequests or maxConnections; add one',
  },
).describe('How calls of a service are carried: timeouts, repetitions, balance, division, copies, limits and faults. Without one: to the least loaded endpoint, without a limit of time, and once again when nothing had been taken.');

export type TrafficPolicySpec = z.infer<typeof trafficPolicySpec>;
/** The number of a gRPC status by its name; OK, which is no fault, has none here. */
export function grpcStatusNumber(name: (typeof GRPC_STATUS)[number]): number {
  return GRPC_STATUS.indexOf(name) + 1;
}
