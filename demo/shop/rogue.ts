import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exchange, type Outcome, send } from './caller.ts';
import { fillPath } from './goods.ts';
import { addressOf, outboundSocket, type Place, tcpSocket } from './place.ts';
import { type ShopWorkload, type Topology, workloadOf } from './topology.ts';

export const ATTACKS = ['deny-burst', 'lateral-move', 'plaintext'] as const;
export type Attack = (typeof ATTACKS)[number];

/** What came back from one target: how many calls, by outcome such as `403 policy-no-allow` or `ECONNRESET`. */
export interface AttackResult {
  readonly target: string;
  readonly outcomes: Readonly<Record<string, number>>;
}

interface Scene {
  readonly topology: Topology;
  readonly place: Place;
  /** Whose ports the plaintext attack tries. */
  readonly namespace: string;
  /** Length of the burst, milliseconds. */
  readonly burstMs: number;
}

const BURST_CALLS = 60;
/** More than one, because a single call may be a mistake and does not raise a signal. */
const TRIES = 3;

/** Runs an attack of the rogue workload with its own identity and returns what really came back. */
export async function attack(name: Attack, scene: Scene): Promise<AttackResult[]> {
  return await RUNS[name](scene);
}

const RUNS: Readonly<Record<Attack, (scene: Scene) => Promise<AttackResult[]>>> = {
  'deny-burst': denyBurst,
  'lateral-move': lateralMove,
  plaintext: plaintext,
};

async function denyBurst(scene: Scene): Promise<AttackResult[]> {
  const target = workloadOf(scene.topology, { namespace: 'payments', name: 'payment' });
  const calls: Promise<Outcome>[] = [];
  for (let turn = 0; turn < BURST_CALLS; turn += 1) {
    calls.push(throughProxy(scene, target));
    await sleep(scene.burstMs / BURST_CALLS);
  }
  return [summary(target, await Promise.all(calls))];
}

async function lateralMove(scene: Scene): Promise<AttackResult[]> {
  const results: AttackResult[] = [];
  for (const target of withPort(scene.topology)) {
    const outcomes: Outcome[] = [];
    for (let turn = 0; turn < TRIES; turn += 1) outcomes.push(await throughProxy(scene, target));
    results.push(summary(target, outcomes));
  }
  return results;
}

/** Without TLS, straight to the mesh addresses, past its own proxy. */
async function plaintext(scene: Scene): Promise<AttackResult[]> {
  const from = workloadOf(scene.topology, { namespace: 'storefront', name: 'rogue' });
  const localAddress = addressOf(scene.topology, from, scene.place);
  const results: AttackResult[] = [];
  for (const target of withPort(scene.topology).filter((item) => item.namespace === scene.namespace)) {
    const outcomes: Outcome[] = [];
    for (let turn = 0; turn < TRIES; turn += 1) outcomes.push(await inTheClear(scene, target, localAddress));
    results.push(summary(target, outcomes));
  }
  return results;
}

async function throughProxy({ place }: Scene, target: ShopWorkload): Promise<Outcome> {
  if (target.protocol === 'tcp') {
    const socket = connect(tcpSocket(place, 'rogue', target));
    const outcome = await exchange(socket, 'PING\n');
    socket.destroy();
    return outcome;
  }
  const { method, path } = firstRoute(target);
  return await send(
    { socketPath: outboundSocket(place, 'rogue'), agent: false, method, path, headers: { host: `${target.name}.${target.namespace}` } },
    null,
  );
}

async function inTheClear({ topology, place }: Scene, target: ShopWorkload, localAddress: string): Promise<Outcome> {
  const host = addressOf(topology, target, place);
  const port = target.port ?? 0;
  if (target.protocol === 'tcp') {
    const socket = connect({ host, port, localAddress });
    const outcome = await exchange(socket, 'PING\n');
    socket.destroy();
    return outcome;
  }
  const { method, path } = firstRoute(target);
  return await send({ host, port, localAddress, agent: false, method, path, headers: { host: `${target.name}.${target.namespace}` } }, null);
}

function firstRoute(target: ShopWorkload): { method: string; path: string } {
  const route = target.routes[0];
  return { method: route?.method ?? 'GET', path: fillPath(route?.path ?? '/', {}) };
}

function withPort(topology: Topology): ShopWorkload[] {
  return topology.workloads.filter((workload) => workload.port !== null);
}

function summary(target: ShopWorkload, outcomes: readonly Outcome[]): AttackResult {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const word = outcome.status === 0 ? (outcome.reason ?? 'no answer') : `${outcome.status} ${outcome.reason ?? ''}`.trim();
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return { target: `${target.namespace}/${target.name}`, outcomes: counts };
}
