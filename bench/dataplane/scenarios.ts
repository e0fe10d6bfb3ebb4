import type { Protocol } from './target.ts';

/** What callers do. S: mTLS to the service's proxy alone. D: plaintext to the caller's proxy, mTLS between the two. */
export interface Scenario {
  readonly id: string;
  readonly hops: 'S' | 'D';
  readonly mode: Protocol | 'h1new';
  readonly connections: number;
  /** Calls that are open at once on each connection. */
  readonly streams: number;
  /** Bytes of the answer. */
  readonly size: number;
  /** Numbers of rules under which each target takes part. */
  readonly rules: readonly number[];
  /** Names of the targets that take part; null for all that serve it. */
  readonly targets: readonly string[] | null;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const USUAL = { streams: 1, size: KIB, rules: [10], targets: null } as const;
/** Between the proxies they do the same in S, and their variants differ in nothing else. */
const ONE_OF_EACH = ['sallyport', 'nginx', 'haproxy', 'envoy', 'caddy'];

const h1 = (hops: 'S' | 'D', connections: number): Scenario => ({ ...USUAL, id: `${hops}-h1-${connections}`, hops, mode: 'h1', connections, targets: hops === 'S' ? ONE_OF_EACH : null });

const SCENARIOS: readonly Scenario[] = [
  ...[1, 32, 128].map((connections) => h1('S', connections)),
  { ...h1('S', 32), id: 'S-h1-32-64k', size: 64 * KIB },
  { ...h1('S', 32), id: 'S-rules', rules: [0, 10, 1000], targets: ['sallyport', 'nginx', 'haproxy', 'envoy'] },
  { ...h1('S', 8), id: 'S-new', mode: 'h1new' },
  ...[1, 32, 128].map((connections) => h1('D', connections)),
  { ...h1('D', 32), id: 'D-h1-32-64k', size: 64 * KIB },
  { ...h1('D', 8), id: 'D-h1-8-1m', size: MIB },
  { ...h1('D', 8), id: 'D-new', mode: 'h1new' },
  { ...USUAL, id: 'D-h2', hops: 'D', mode: 'h2', connections: 4, streams: 8 },
  { ...USUAL, id: 'D-grpc', hops: 'D', mode: 'grpc', connections: 4, streams: 8 },
  { ...USUAL, id: 'D-tcp', hops: 'D', mode: 'tcp', connections: 8, size: MIB, targets: ['sallyport', 'nginx', 'haproxy', 'envoy'] },
];

/** What `--quick` leaves out: each has a neighbour that says nearly the same. */
const NOT_QUICK = ['S-h1-128', 'S-h1-32-64k', 'D-new', 'D-h2'];

/** The scenarios whose id is one of the texts or, when there is no such one, begins with it; all, or the quick ones, when there are none. @throws Error naming what is unknown */
export function select(wanted: readonly string[], quick: boolean): readonly Scenario[] {
  const matches = (id: string, text: string) => id === text || (id.startsWith(`${text}-`) && !SCENARIOS.some((each) => each.id === text));
  const unknown = wanted.filter((text) => text !== 'memory' && !SCENARIOS.some(({ id }) => matches(id, text)));
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(', ')}; there are memory, ${SCENARIOS.map(({ id }) => id).join(', ')}`);
  return SCENARIOS.filter(({ id }) => (wanted.length === 0 ? !quick || !NOT_QUICK.includes(id) : wanted.some((text) => matches(id, text))));
}

export function pathOf({ mode, size }: Scenario): string {
  return mode === 'grpc' ? `/bench.Echo/${size}` : `/items/${size}`;
}

export function protocolOf({ mode }: Scenario): Protocol {
  return mode === 'h1new' ? 'h1' : mode;
}

/** The host that callers name: ours is told by it what the application speaks, others look at what the caller does. */
export function hostOf(protocol: Protocol): string {
  return { h1: 'api.pay', h2: 'api-h2.pay', grpc: 'api-grpc.pay', tcp: '' }[protocol];
}
