import { cpus, loadavg } from 'node:os';
import type { Contestant } from './contestant.ts';
import { Ours } from './ours.ts';
import { Peer } from './peer.ts';

/**
 * `npm run bench:pki [-- --json] [--rounds N]`
 *
 * Certificates a second, beside @peculiar/x509 that does the same: take a request, check its proof of possession, issue
 * an X.509-SVID with the same extensions from the same P-256 key. One process and one run, taking turns; medians of
 * rounds. Prints, and judges nothing.
 */
const CERTIFICATES_A_TURN = 200;

async function turn(contestant: Contestant, csr: string): Promise<number> {
  const began = performance.now();
  for (let count = 0; count < CERTIFICATES_A_TURN; count += 1) await contestant.issue(csr);
  return (CERTIFICATES_A_TURN * 1000) / (performance.now() - began);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function main(args: readonly string[]): Promise<void> {
  const rounds = Number(args[args.indexOf('--rounds') + 1] ?? 7) || 7;
  const ours = new Ours();
  const contestants: Contestant[] = [ours, await Peer.create(ours)];
  for (const contestant of contestants) await turn(contestant, ours.csr);
  const rates = contestants.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contestant] of contestants.entries()) rates[index]?.push(await turn(contestant, ours.csr));
  }
  const result = contestants.map(({ name }, index) => ({ name, perSecond: Math.round(median(rates[index] ?? [])) }));
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, load: loadavg()[0] ?? 0 };
  const [first, second] = result;
  const ratio = (first?.perSecond ?? 0) / (second?.perSecond ?? 1);
  if (args.includes('--json')) return console.log(JSON.stringify({ machine, rounds, result, ratio }, null, 2));
  console.log(`${machine.cpu}, ${machine.cores} cores, node ${machine.node}, load ${machine.load.toFixed(1)}, ${rounds} rounds of ${CERTIFICATES_A_TURN}`);
  for (const { name, perSecond } of result) console.log(`${String(perSecond).padStart(7)} certificates a second  ${name}`);
  console.log(`ratio ${ratio.toFixed(1)}`);
}

await main(process.argv.slice(2));
