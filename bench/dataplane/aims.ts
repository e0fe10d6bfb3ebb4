import type { Absence, Measurement, MemoryMeasurement } from './measure.ts';

/** An aim of issue 4, and what this run says of it. Null: it could not be told, because somebody did not take part. */
export interface Aim {
  readonly aim: string;
  readonly met: boolean | null;
  readonly measured: string;
}

export interface Findings {
  readonly measurements: readonly Measurement[];
  readonly absences: readonly Absence[];
  readonly memory: readonly MemoryMeasurement[];
}

const OURS = 'sallyport';
const H2_HOP = ['haproxy-h2', 'envoy-h2'];

/** Most that our CPU time may be of a peer's. The first that took part of several peers' least counts. */
const CPU_AIMS: readonly (readonly [scenarios: readonly string[], peers: readonly string[], most: number])[] = [
  [['D-h1-32', 'D-h1-128'], ['nginx'], 0.6],
  [['D-h1-32', 'D-h1-128'], ['haproxy'], 0.6],
  [['D-h1-32', 'D-h1-128'], ['envoy'], 0.5],
  [['D-h1-32', 'D-h1-128'], H2_HOP, 1],
  [['D-h1-1'], ['nginx'], 1.2],
  [['S-h1-1', 'S-h1-32', 'S-h1-128', 'S-h1-32-64k'], ['nginx'], 1.15],
  [['S-h1-1', 'S-h1-32', 'S-h1-128', 'S-h1-32-64k'], ['envoy'], 0.7],
  [['D-grpc'], ['nginx'], 1],
  [['D-grpc'], ['envoy-h2'], 1],
  [['D-grpc'], ['node:http2'], 0.25],
  [['D-h1-32-64k', 'D-h1-8-1m', 'D-tcp'], ['nginx'], 1.2],
  [['D-h1-32-64k', 'D-h1-8-1m', 'D-tcp'], ['haproxy'], 1.6],
  [['S-new', 'D-new'], ['nginx'], 1.5],
];
const MORE_RULES = 1.05;
const IDLE_KIB = 70 * 1024;
const CONNECTION_KIB = 64;

/** Holds a run against the aims. Scenarios that were not run are left out. */
export function aimsOf(findings: Findings, scenarios: readonly string[]): Aim[] {
  const run = new Set(scenarios);
  const cpu = CPU_AIMS.flatMap(([ids, peers, most]) => ids.filter((id) => run.has(id)).map((id) => cpuAim(findings, id, peers, most)));
  const latency = ['D-h1-32', 'D-h1-128'].filter((id) => run.has(id)).map((id) => latencyAim(findings, id));
  return [...cpu, ...latency, ...(run.has('S-rules') ? [rulesAim(findings)] : []), ...memoryAims(findings)];
}

function find({ measurements }: Findings, scenario: string, target: string, rules = 10): Measurement | undefined {
  return measurements.find((each) => each.scenario === scenario && each.target === target && each.rules === rules);
}

function cpuAim(findings: Findings, id: string, peers: readonly string[], most: number): Aim {
  const aim = `${id}: CPU at most ${most} of ${peers.join(' and ')}`;
  const ours = find(findings, id, OURS);
  if (!ours) return withoutUs(aim);
  const found = peers.flatMap((peer) => find(findings, id, peer) ?? []);
  if (found.length === 0) return { aim, met: null, measured: 'no such peer took part' };
  const ratio = ours.cpuMicros / Math.min(...found.map(({ cpuMicros }) => cpuMicros));
  return { aim, met: ratio <= most, measured: ratio.toFixed(2) };
}

function withoutUs(aim: string): Aim {
  return { aim, met: false, measured: 'sallyport took no part' };
}

function latencyAim(findings: Findings, id: string): Aim {
  const aim = `${id}: p99 at most the best peer's`;
  const ours = find(findings, id, OURS);
  if (!ours) return withoutUs(aim);
  const [best] = findings.measurements.filter((each) => each.scenario === id && each.target !== OURS).sort((a, b) => a.p99Ms - b.p99Ms);
  if (!best) return { aim, met: null, measured: 'no peer took part' };
  return { aim, met: ours.p99Ms <= best.p99Ms, measured: `${ours.p99Ms.toFixed(1)} ms, ${best.target} ${best.p99Ms.toFixed(1)} ms` };
}

function rulesAim(findings: Findings): Aim {
  const aim = `S-rules: 1,000 rules cost at most ${MORE_RULES} of 10`;
  const [few, many] = [find(findings, 'S-rules', OURS, 10), find(findings, 'S-rules', OURS, 1000)];
  if (!few || !many) return withoutUs(aim);
  const ratio = many.cpuMicros / few.cpuMicros;
  return { aim, met: ratio <= MORE_RULES, measured: ratio.toFixed(2) };
}

function memoryAims({ memory }: Findings): Aim[] {
  const ours = memory.find(({ target }) => target === OURS);
  if (memory.length === 0) return [];
  if (!ours) return [withoutUs('memory')];
  const envoy = memory.find(({ target }) => target === 'envoy');
  const idle = `${(ours.idlePss / 1024).toFixed(1)} MiB`;
  const each = `${ours.perConnection.toFixed(1)} KiB`;
  return [
    { aim: 'memory idle at most 70 MB', met: ours.idlePss <= IDLE_KIB, measured: idle },
    { aim: 'memory for an idle connection at most 64 KiB', met: ours.perConnection <= CONNECTION_KIB, measured: each },
    { aim: 'memory idle below Envoy', met: envoy ? ours.idlePss < envoy.idlePss : null, measured: `${idle}, Envoy ${envoy ? (envoy.idlePss / 1024).toFixed(1) : 'absent'}` },
    { aim: 'memory for an idle connection below Envoy', met: envoy ? ours.perConnection < envoy.perConnection : null, measured: `${each}, Envoy ${envoy?.perConnection.toFixed(1) ?? 'absent'}` },
  ];
}
