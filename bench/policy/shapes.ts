import { decide } from '@sallyport/shared/policy';
import { compilePolicyRules, policyRequest } from './engines/ours.ts';
import { median } from './measure.ts';

/** Rules of other shapes, ours alone: what a rule must not be to stay fast. */
export interface ShapeMeasurement {
  readonly shape: string;
  readonly rules: number;
  readonly nsPerDecision: number;
}

type PolicyRule = Parameters<typeof compilePolicyRules>[0][number];

interface Shape {
  readonly name: string;
  readonly rule: (index: number, size: number) => PolicyRule;
  /** A request that the rule allows, and beside it one that no rule does. */
  readonly path: (index: number) => string;
  readonly headers?: (index: number) => Readonly<Record<string, readonly string[]>>;
  readonly principal?: (index: number) => string;
}

const onPaths = (...paths: string[]): PolicyRule => ({ to: [{ operation: { methods: ['POST'], paths } }] });

const SHAPES: readonly Shape[] = [
  { name: 'prefix /a/i/*', rule: (index) => onPaths(`/v1/tenant-${index}/*`), path: (index) => `/v1/tenant-${index}/orders/7` },
  { name: 'template /a/i/{*}/b', rule: (index) => onPaths(`/v1/tenant-${index}/{*}/items`), path: (index) => `/v1/tenant-${index}/7/items` },
  {
    name: 'header value',
    rule: (index) => ({ when: [{ key: 'request.headers[x-tenant]', values: [`tenant-${index}`] }], ...onPaths('/v1/orders') }),
    path: () => '/v1/orders',
    headers: (index) => ({ accept: ['*/*'], 'user-agent': ['bench'], 'x-tenant': [`tenant-${index}`] }),
  },
  {
    name: 'address block, the last of all',
    rule: (index, size) => ({ from: [{ source: { ipBlocks: [index === size - 1 ? '10.1.0.0/16' : `172.${index % 256}.${index >> 8}.0/24`] } }], ...onPaths('/v1/orders') }),
    path: () => '/v1/orders',
  },
  {
    name: 'namespace and prefix',
    rule: (index) => ({ from: [{ source: { namespaces: [`team-${index}`] } }], ...onPaths('/v1/*') }),
    path: () => '/v1/orders',
    principal: (index) => `cluster.local/ns/team-${index}/sa/default`,
  },
];

const ROUNDS = 9;
const ASKS = 512;

/** Each shape at each size: the median over rounds in which the shapes take turns. */
export function measureShapes(sizes: readonly number[]): ShapeMeasurement[] {
  return sizes.flatMap((size) => {
    const runs = SHAPES.map((shape) => ({ shape, round: roundOf(shape, size), samples: [] as number[] }));
    for (let round = 0; round < ROUNDS; round += 1) for (const run of runs) run.samples.push(run.round());
    return runs.map(({ shape, samples }) => ({ shape: shape.name, rules: size, nsPerDecision: median(samples) }));
  });
}

/** A round of one shape: nanoseconds a decision. Verdicts are checked before the first. */
function roundOf(shape: Shape, size: number): () => number {
  const compiled = compilePolicyRules(Array.from({ length: size }, (_, index) => shape.rule(index, size)));
  const requests = Array.from({ length: ASKS }, (_, turn) => {
    const index = (turn * 7919) % size;
    const principal = shape.principal?.(index) ?? 'cluster.local/ns/shop/sa/checkout';
    return policyRequest({ principal, method: turn % 2 === 0 ? 'POST' : 'PUT', path: shape.path(index) }, shape.headers?.(index));
  });
  requests.forEach((request, turn) => {
    if ((decide(compiled, request).effect === 'ALLOW') !== (turn % 2 === 0)) throw new Error(`request ${turn} of "${shape.name}" is decided wrongly`);
  });
  return () => {
    const begin = performance.now();
    let count = 0;
    while (performance.now() - begin < 10) {
      for (let turn = 0; turn < 64; turn += 1) {
        const request = requests[(count + turn) % ASKS];
        if (request) decide(compiled, request);
      }
      count += 64;
    }
    return ((performance.now() - begin) * 1e6) / count;
  };
}
