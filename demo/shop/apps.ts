import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { httpApplication, listenOn, tcpApplication } from './application.ts';
import { Caller } from './caller.ts';
import { startCustomer, startLegacy } from './clients.ts';
import { appSocket, controlSocket, type Part, PARTS, type Place } from './place.ts';
import { attack, type Attack, ATTACKS } from './rogue.ts';
import { loadFederation, loadTopology, type ShopWorkload, type Topology } from './topology.ts';

function partOf(workload: ShopWorkload): Part {
  if (workload.proxy === 'partner-node') return 'partner';
  if (workload.proxy === null || workload.name === 'rogue') return 'outside';
  return workload.proxy === 'node-a' ? 'inside-a' : 'inside-b';
}

async function startWorkload(topology: Topology, workload: ShopWorkload, place: Place): Promise<void> {
  const caller = new Caller(workload.name, place);
  if (workload.proxy === null) startLegacy(topology, workload, caller, place);
  else startCustomer(workload, caller);
  if (workload.port === null) return;
  await listenOn(workload.protocol === 'tcp' ? tcpApplication() : httpApplication(workload, caller), appSocket(place, workload.name));
}

/** The supervisor's door: `GET /healthz`, and in part `outside` `POST /attack/<name>[?namespace=<ns>]`. */
async function startControl(topology: Topology, place: Place, part: Part): Promise<void> {
  const server = createServer((incoming, answer) => {
    control(topology, place, part, incoming, answer).catch((error: unknown) => {
      answer.writeHead(500).end(error instanceof Error ? error.message : 'failed');
    });
  });
  server.requestTimeout = 60_000;
  await listenOn(server, controlSocket(place, part));
}

async function control(topology: Topology, place: Place, part: Part, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://control');
  incoming.resume();
  if (incoming.method === 'GET' && url.pathname === '/healthz') return void answer.end('ok');
  const name = url.pathname.replace('/attack/', '');
  if (part !== 'outside' || incoming.method !== 'POST' || !isAttack(name)) return void answer.writeHead(404).end('not found');
  const namespace = url.searchParams.get('namespace') ?? 'orders';
  const results = await attack(name, { topology, place, namespace, burstMs: 10_000 });
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify(results));
}

function isAttack(name: string): name is Attack {
  return (ATTACKS as readonly string[]).includes(name);
}

/** `node demo/shop/apps.ts <part> <run folder> <network> [--federated]`: the applications of one part in one process. */
async function main([part, run, network, federated]: readonly string[]): Promise<void> {
  if (!PARTS.includes(part as Part) || !run || !network) {
    throw new Error(`usage: apps.ts ${PARTS.join('|')} <run folder> <network> [--federated]`);
  }
  const topology = federated === undefined ? loadTopology() : loadFederation()[part === 'partner' ? 'partner' : 'shop'];
  const place = { run, network };
  const mine = topology.workloads.filter((workload) => partOf(workload) === part);
  for (const workload of mine) await startWorkload(topology, workload, place);
  await startControl(topology, place, part as Part);
  console.log(`${mine.map((workload) => `${workload.namespace}/${workload.name}`).join(', ')}: running`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
}

await main(process.argv.slice(2));
