import type { Allocation } from './allocation.ts';
import type { Measurement } from './measure.ts';
import type { ShapeMeasurement } from './shapes.ts';

/** An aim of issue 3, "Speed", and whether this run met it. */
export interface Aim {
  readonly aim: string;
  readonly met: boolean;
  /** False for what is shown beside the aims and does not fail the run. */
  readonly counts: boolean;
  readonly measured: string;
}

export interface Report {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly load: number };
  readonly measurements: readonly Measurement[];
  readonly shapes: readonly ShapeMeasurement[];
  readonly allocation: Allocation;
  readonly aims: readonly Aim[];
}

const OURS = 'sallyport';
/** Its author has made the index by hand, so it does not have the rules that the others have. */
const HAND_INDEXED = 'opa-wasm keyed';

/** Holds a run against the aims. Sizes that were not measured are left out. */
export function aimsOf(measurements: readonly Measurement[], allocation: Allocation): Aim[] {
  const mixes = [...new Set(measurements.map(({ mix }) => mix))];
  const peers = [...new Set(measurements.map(({ engine }) => engine))].filter((engine) => !engine.startsWith(OURS));
  const lead = peers.map((peer): Aim => {
    const ratios = measurements.filter(({ engine }) => engine === peer).map((each) => each.nsPerDecision / own(measurements, each));
    const least = Math.min(...ratios);
    return { aim: `at least 20 times ahead of ${peer}, each mix and size`, met: least >= 20, counts: peer !== HAND_INDEXED, measured: `at least ${fixed(least)} times` };
  });
  const growth = mixes.flatMap((mix): Aim[] => {
    const ratio = growthOf(measurements, mix, OURS);
    return ratio === null ? [] : [{ aim: `growth under 2 times from 100 to 10,000 rules (${mix})`, met: ratio < 2, counts: true, measured: `${fixed(ratio)} times` }];
  });
  const thousand = measurements.filter(({ engine, rules }) => engine === OURS && rules === 1_000).map((each): Aim => ({
    aim: `at most 2 µs at 1,000 rules (${each.mix})`, met: each.nsPerDecision <= 2_000, counts: true, measured: `${Math.round(each.nsPerDecision)} ns`,
  }));
  return [...lead, ...growth, ...thousand, { aim: 'no allocation on the common path', met: allocation.bytesPerDecision < 1, counts: true, measured: `${allocation.bytesPerDecision.toFixed(3)} bytes a decision` }];
}

function own(measurements: readonly Measurement[], peer: Measurement): number {
  return measurements.find((each) => each.engine === OURS && each.mix === peer.mix && each.rules === peer.rules)?.nsPerDecision ?? Number.NaN;
}

function growthOf(measurements: readonly Measurement[], mix: string, engine: string): number | null {
  const at = (rules: number) => measurements.find((each) => each.mix === mix && each.engine === engine && each.rules === rules)?.nsPerDecision;
  const [small, large] = [at(100), at(10_000)];
  return small === undefined || large === undefined ? null : large / small;
}

/** The report as text tables. */
export function tables({ machine, measurements, shapes, allocation, aims }: Report): string {
  const parts = [`${machine.cpu}, ${machine.cores} cores, load ${machine.load.toFixed(1)}, Node ${machine.node}`];
  for (const mix of new Set(measurements.map((each) => each.mix))) {
    const rows = measurements.filter((each) => each.mix === mix);
    parts.push(`Rules that differ by ${mix}: ns per decision (ratio to ours; compile ms)\n${grid(rows, mix)}`);
  }
  const sizes = [...new Set(shapes.map(({ rules }) => rules))];
  const shapeRows = [...new Set(shapes.map(({ shape }) => shape))].map((shape) => [shape, ...sizes.map((size) => fixed(shapes.find((each) => each.shape === shape && each.rules === size)?.nsPerDecision ?? Number.NaN))]);
  parts.push(`Other shapes, ours alone: ns per decision\n${aligned([['shape', ...sizes.map(String)], ...shapeRows])}`);
  parts.push(`Allocated: ${allocation.bytesPerDecision.toFixed(3)} bytes a decision at ${allocation.rules} rules over ${allocation.decisions} decisions`);
  parts.push(`Aims\n${aligned(aims.map(({ aim, met, counts, measured }) => [met ? 'met' : 'MISSED', `${aim}${counts ? '' : ' (not counted)'}`, measured]))}`);
  return parts.join('\n\n');
}

function grid(rows: readonly Measurement[], mix: string): string {
  const sizes = [...new Set(rows.map(({ rules }) => rules))];
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  const body = engines.map((engine) => {
    const growth = growthOf(rows, mix, engine);
    const cells = sizes.map((size) => {
      const found = rows.find((each) => each.engine === engine && each.rules === size);
      return found ? `${fixed(found.nsPerDecision)} (x${fixed(found.nsPerDecision / own(rows, found))}; ${fixed(found.compileMs)})` : '';
    });
    return [engine, ...cells, growth === null ? '' : `x${fixed(growth)}`];
  });
  return aligned([['engine', ...sizes.map((size) => `${size} rules`), '100 to 10,000'], ...body]);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}

function fixed(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2);
}
