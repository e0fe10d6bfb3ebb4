import type { Aim, Findings } from './aims.ts';
import type { Measurement } from './measure.ts';

export interface Report extends Findings {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly load: number };
  readonly aims: readonly Aim[];
  /** Peers that are not installed, and what else limits what the numbers say. */
  readonly warnings: readonly string[];
}

const OURS = 'sallyport';

/** The report as text tables. */
export function tables({ machine, measurements, absences, memory, aims, warnings }: Report): string {
  const parts = [`${machine.cpu}, ${machine.cores} cores, load ${machine.load.toFixed(1)}, Node ${machine.node}`];
  for (const scenario of new Set(measurements.map((each) => each.scenario))) parts.push(tableOf(scenario, measurements.filter((each) => each.scenario === scenario)));
  if (memory.length > 0) {
    const rows = memory.map(({ target, idlePss, idleRss, perConnection }) => [target, (idlePss / 1024).toFixed(1), (idleRss / 1024).toFixed(1), perConnection.toFixed(1)]);
    parts.push(`Memory of the service's proxy\n${aligned([['', 'idle PSS MiB', 'idle RSS MiB', 'KiB per idle mTLS connection'], ...rows])}`);
  }
  if (absences.length > 0) parts.push(`Not measured\n${aligned(absences.map(({ scenario, target, rules, kind, text }) => [kind === 'wrong' ? 'WRONG' : '', scenario, target, `${rules} rules`, text]))}`);
  parts.push(`Aims\n${aligned(aims.map(({ aim, met, measured }) => [met === null ? 'untold' : met ? 'met' : 'MISSED', aim, measured]))}`);
  if (warnings.length > 0) parts.push(warnings.map((text) => `ATTENTION: ${text}`).join('\n'));
  return parts.join('\n\n');
}

function tableOf(scenario: string, rows: readonly Measurement[]): string {
  const unit = scenario === 'D-tcp' ? 'MiB' : 'request';
  const several = new Set(rows.map(({ rules }) => rules)).size > 1;
  const body = rows.map((row) => {
    const ours = rows.find(({ target, rules }) => target === OURS && rules === row.rules);
    const ratio = ours && row.target !== OURS ? (ours.cpuMicros / row.cpuMicros).toFixed(2) : '';
    return [several ? `${row.target}, ${row.rules} rules` : row.target, row.rps.toFixed(0), row.p50Ms.toFixed(2), row.p99Ms.toFixed(2), row.cpuMicros.toFixed(1), ratio, (row.pss / 1024).toFixed(0), spread(row.cpuRounds)];
  });
  return `${scenario}\n${aligned([['', `${unit}s/s`, 'p50 ms', 'p99 ms', `CPU µs/${unit}`, 'ours/peer', 'PSS MiB', 'rounds'], ...body])}`;
}

function spread(rounds: readonly number[]): string {
  return `${Math.min(...rounds).toFixed(0)} to ${Math.max(...rounds).toFixed(0)}`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}
