import { cpus, loadavg } from 'node:os';
import { measureEngine, measureServers } from './frames.ts';
import { measureHeads } from './heads.ts';

/**
 * `npm run bench:wire [-- --json] [--rounds N]`
 *
 * The core of the engine beside node's own: HTTP/1.1 heads without a socket, HTTP/2 without one and over loopback.
 * Medians of rounds in which all take turns. Prints, and judges nothing.
 */
async function main(args: readonly string[]): Promise<void> {
  const rounds = Number(args[args.indexOf('--rounds') + 1] ?? 5) || 5;
  const heads = measureHeads(rounds);
  const engine = measureEngine(rounds);
  const servers: Record<string, Record<string, { cpu: number; rps: number }>> = {};
  for (const [connections, depth] of [[1, 32], [32, 1], [1, 1]] as const) servers[`${connections} × ${depth}`] = await measureServers(connections, depth, Math.min(rounds, 5));
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, load: loadavg()[0] ?? 0 };
  if (args.includes('--json')) return console.log(JSON.stringify({ machine, heads, engine, servers }, null, 2));
  console.log(`${machine.cpu}, ${machine.cores} cores, node ${machine.node}, load ${machine.load.toFixed(1)}`);
  for (const [size, times] of Object.entries(heads)) {
    console.log(`\nHTTP/1.1 head of ${size}, ns`);
    for (const [name, ns] of Object.entries(times)) console.log(`${ns.toFixed(0).padStart(8)}  ${name}`);
  }
  console.log(`\nHTTP/2, 1 KiB each way, both sides, no socket: ${(engine / 1000).toFixed(1)} µs for an exchange`);
  console.log('\nHTTP/2 server over loopback, 1 KiB each way, CPU µs for an exchange (exchanges a second)');
  for (const [shape, { ours, node }] of Object.entries(servers)) {
    if (!ours || !node) continue;
    console.log(`  ${shape.padEnd(8)} wire/h2 ${ours.cpu.toFixed(1)} (${ours.rps})   node:http2 ${node.cpu.toFixed(1)} (${node.rps})   ratio ${(node.cpu / ours.cpu).toFixed(1)}`);
  }
}

await main(process.argv.slice(2));
