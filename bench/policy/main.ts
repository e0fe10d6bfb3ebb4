import { cpus, loadavg } from 'node:os';
import { measureAllocation } from './allocation.ts';
import { MIXES, SIZES } from './cases.ts';
import { casbin } from './engines/casbin.ts';
import { cedar } from './engines/cedar.ts';
import type { Engine } from './engines/engine.ts';
import { opaKeyed, opaList } from './engines/opa.ts';
import { ours, oursWithPath } from './engines/ours.ts';
import { type Measurement, measure } from './measure.ts';
import { measureShapes } from './shapes.ts';
import { aimsOf, tables } from './report.ts';

/**
 * `npm run bench:policy [-- --json] [--size N]...`
 *
 * Our evaluator beside three others on the same rules, in one process and one run, taking turns. Exit code 1 when an
 * engine decides wrongly or an aim of issue 3 is missed.
 */
const ENGINES: readonly Engine[] = [ours, oursWithPath, opaKeyed, opaList, casbin, cedar];

function sizesOf(args: readonly string[]): readonly number[] {
  const wanted = args.flatMap((arg, index) => (args[index - 1] === '--size' ? [Number(arg)] : []));
  if (wanted.some((size) => !Number.isInteger(size) || size < 1)) throw new Error('--size takes a whole number of rules, such as --size 1000');
  return wanted.length > 0 ? wanted : SIZES;
}

async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  const sizes = sizesOf(args);
  const measurements: Measurement[] = [];
  for (const mix of MIXES) {
    if (!json) console.error(`rules that differ by ${mix.name} …`);
    measurements.push(...(await measure(mix, sizes, ENGINES)));
  }
  const shapes = measureShapes(sizes);
  const allocation = measureAllocation(Math.max(...sizes.filter((size) => size <= 1_000), 10));
  const aims = aimsOf(measurements, allocation);
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, load: loadavg()[0] ?? 0 };
  if (json) console.log(JSON.stringify({ machine, measurements, shapes, allocation, aims }, null, 2));
  else console.log(tables({ machine, measurements, shapes, allocation, aims }));
  return aims.every((aim) => aim.met || !aim.counts) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
