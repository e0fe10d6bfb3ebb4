import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { aimsOf } from './aims.ts';
import { openLab } from './lab.ts';
import { type Absence, Deployments, measure, type Measurement, measureMemory, type MemoryMeasurement, type Pace } from './measure.ts';
import { nodeHttp2 } from './node-http2.ts';
import { peers } from './peers.ts';
import { pinMyself, unpinned } from './processes.ts';
import { type Report, tables } from './report.ts';
import { before, sallyport } from './sallyport.ts';
import { type Scenario, select } from './scenarios.ts';
import type { Target } from './target.ts';

/**
 * `npm run bench:dataplane [-- --quick] [--json] [--only D-h1-32]... [--peer nginx]... [--seconds N] [--rounds N]`
 *
 * Our proxy beside others on the same calls, with the same mTLS and rules, taking turns in one run. Exit code 1 when a
 * target decides wrongly or an aim of issue 4 is missed.
 */
const TARGETS: readonly Target[] = [sallyport, ...before, ...peers, nodeHttp2];
const FULL: Pace = { rounds: 3, ms: 1000, warmMs: 200 };
const QUICK: Pace = { rounds: 2, ms: 250, warmMs: 100 };

function readArguments(args: string[]): { json: boolean; quick: boolean; only: string[]; peer: string[]; pace: Pace } {
  const several = { type: 'string', multiple: true, default: [] as string[] } as const;
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false }, only: several, peer: several, seconds: { type: 'string' }, rounds: { type: 'string' } } });
  const number = (name: 'seconds' | 'rounds', text: string | undefined, fallback: number) => {
    const value = text === undefined ? fallback : Number(text);
    if (!(value > 0)) throw new Error(`--${name} takes a number above 0, not ${text}`);
    return value;
  };
  const base = values.quick ? QUICK : FULL;
  const pace = { warmMs: base.warmMs, ms: Math.round(number('seconds', values.seconds, base.ms / 1000) * 1000), rounds: Math.ceil(number('rounds', values.rounds, base.rounds)) };
  const unknown = values.peer.filter((name) => !TARGETS.some((target) => target.name === name));
  if (unknown.length > 0) throw new Error(`no peer ${unknown.join(', ')}; there are ${TARGETS.map(({ name }) => name).join(', ')}`);
  return { json: values.json, quick: values.quick, only: values.only, peer: values.peer, pace };
}

async function main(args: string[]): Promise<number> {
  const { json, quick, only, peer, pace } = readArguments(args);
  const scenarios = select(only, quick);
  const wanted = TARGETS.filter(({ name }) => peer.length === 0 || name === sallyport.name || peer.includes(name));
  const warnings = [...wanted.flatMap(({ name, missing }) => (missing === null ? [] : [`${name} is left out: ${missing}`])), ...(unpinned === null ? [] : [unpinned])];
  for (const text of warnings) console.error(`ATTENTION: ${text}`);
  pinMyself();
  const found = await measureAll(scenarios, wanted.filter(({ missing }) => missing === null), pace, only.length === 0 || only.includes('memory'));
  const aims = aimsOf(found, scenarios.map(({ id }) => id));
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, load: loadavg()[0] ?? 0 };
  const report: Report = { machine, ...found, aims, warnings };
  console.log(json ? JSON.stringify(report, null, 2) : tables(report));
  return aims.some(({ met }) => met === false) || found.absences.some(({ kind }) => kind === 'wrong') ? 1 : 0;
}

async function measureAll(scenarios: readonly Scenario[], targets: readonly Target[], pace: Pace, withMemory: boolean): Promise<{ measurements: Measurement[]; absences: Absence[]; memory: MemoryMeasurement[] }> {
  const found = { measurements: [] as Measurement[], absences: [] as Absence[], memory: [] as MemoryMeasurement[] };
  const lab = await openLab();
  // Whoever interrupts the bench wants no proxies left behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void lab.close().finally(() => process.exit(130)));
  try {
    const deployments = new Deployments(lab);
    const plain = targets.filter(({ name }) => !name.includes('-h2') && name !== nodeHttp2.name);
    if (withMemory) for (const target of plain) found.memory.push(await measureMemory(lab, target, deployments));
    for (const scenario of scenarios) {
      console.error(`${scenario.id} …`);
      const { measurements, absences } = await measure(lab, scenario, takingPart(scenario, targets), deployments, pace);
      found.measurements.push(...measurements);
      found.absences.push(...absences);
    }
  } finally {
    await lab.close();
  }
  return found;
}

function takingPart(scenario: Scenario, targets: readonly Target[]): Target[] {
  return targets.filter(({ name }) => (scenario.targets === null ? name !== nodeHttp2.name || scenario.mode === 'grpc' : scenario.targets.includes(name) || before.some((each) => each.name === name)));
}

process.exitCode = await main(process.argv.slice(2));
