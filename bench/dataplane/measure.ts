import { type Objection, objectionTo } from './enforcement.ts';
import type { Lab } from './lab.ts';
import { holding, portOf, slice, type Slice } from './load.ts';
import { memoryOf } from './processes.ts';
import type { Scenario } from './scenarios.ts';
import type { Deployment, Target } from './target.ts';

/** Medians over the rounds of one target in one scenario. */
export interface Measurement {
  readonly scenario: string;
  readonly target: string;
  readonly rules: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
  /** The slices behind the CPU time, to judge the noise. */
  readonly cpuRounds: readonly number[];
  /** Proportional memory of all proxy processes after the last slice, KiB. */
  readonly pss: number;
}

/** A target that does not take part in a scenario, and why. */
export interface Absence extends Objection {
  readonly scenario: string;
  readonly target: string;
  readonly rules: number;
}

/** Memory of the service's proxy. KiB; for each connection with one decimal. */
export interface MemoryMeasurement {
  readonly target: string;
  readonly idlePss: number;
  readonly idleRss: number;
  readonly perConnection: number;
}

export interface Pace {
  readonly rounds: number;
  readonly ms: number;
  readonly warmMs: number;
}

interface Contender {
  readonly target: Target;
  readonly rules: number;
  readonly deployment: Deployment;
  readonly slices: Slice[];
}

/** Deployments by target and number of rules, started when first needed and kept for the run. */
export class Deployments {
  readonly #lab: Lab;
  readonly #running = new Map<string, Deployment>();

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  async get(target: Target, rules: number): Promise<Deployment> {
    const key = `${target.name} ${rules}`;
    const running = this.#running.get(key) ?? (await target.deploy(this.#lab, rules));
    this.#running.set(key, running);
    return running;
  }
}

/** Measures one scenario: decisions first, then rounds in which all take turns, another one first each time. */
export async function measure(lab: Lab, scenario: Scenario, targets: readonly Target[], deployments: Deployments, pace: Pace): Promise<{ measurements: Measurement[]; absences: Absence[] }> {
  const absences: Absence[] = [];
  const contenders: Contender[] = [];
  const enter = async (target: Target, rules: number) => {
    const deployment = await deployments.get(target, rules);
    if (portOf(scenario, deployment) === null) return;
    const objection = await objectionTo(lab, scenario, deployment, rules);
    if (objection) absences.push({ ...objection, scenario: scenario.id, target: target.name, rules });
    else contenders.push({ target, rules, deployment, slices: [] });
  };
  for (const rules of scenario.rules) for (const target of targets) await enter(target, rules);
  for (let round = -1; round < pace.rounds; round += 1) await runRound(lab, scenario, contenders, round, pace, absences);
  const measurements = contenders.filter(({ slices }) => slices.length === pace.rounds).map((contender) => summarise(scenario, contender));
  return { measurements, absences };
}

/** Round -1 is not counted: code is compiled and pools are filled in it. */
async function runRound(lab: Lab, scenario: Scenario, contenders: readonly Contender[], round: number, pace: Pace, absences: Absence[]): Promise<void> {
  for (let turn = 0; turn < contenders.length; turn += 1) {
    const contender = contenders[(round + 1 + turn) % contenders.length];
    if (!contender || absences.some(({ target, rules }) => target === contender.target.name && rules === contender.rules)) continue;
    try {
      const result = await slice(lab, scenario, contender.deployment, pace.warmMs, pace.ms);
      if (round >= 0) contender.slices.push(result);
    } catch (error) {
      absences.push({ kind: 'unserved', text: `failed under load: ${(error as Error).message}`, scenario: scenario.id, target: contender.target.name, rules: contender.rules });
    }
  }
}

function summarise(scenario: Scenario, { target, rules, deployment, slices }: Contender): Measurement {
  const of = (value: (each: Slice) => number) => median(slices.map(value));
  return {
    scenario: scenario.id, target: target.name, rules,
    rps: of(({ requests, seconds }) => requests / seconds), p50Ms: of(({ p50Ms }) => p50Ms), p99Ms: of(({ p99Ms }) => p99Ms),
    cpuMicros: of(({ cpuMicros }) => cpuMicros), cpuRounds: slices.map(({ cpuMicros }) => cpuMicros),
    pss: memoryOf([...deployment.client, ...deployment.server]).pss,
  };
}

const IDLE_CONNECTIONS = 1_000;
const SETTLE_MS = 500;

/** Memory of a service's proxy that has just started, and what idle mTLS connections add to it. */
export async function measureMemory(lab: Lab, target: Target, deployments: Deployments): Promise<MemoryMeasurement> {
  const { doors, server } = await deployments.get(target, 10);
  const port = doors.mtls.h1 ?? 0;
  const idle = memoryOf(server);
  const pause = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  // Ten connections first, so that what is loaded once is not counted for each.
  const before = await holding(lab, target.name, port, 10, () => memoryOf(server));
  await pause();
  const full = await holding(lab, target.name, port, IDLE_CONNECTIONS, () => memoryOf(server));
  await pause();
  return { target: target.name, idlePss: idle.pss, idleRss: idle.rss, perConnection: (full.pss - before.pss) / (IDLE_CONNECTIONS - 10) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
