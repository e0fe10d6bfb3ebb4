import http from 'node:http';
import { parseArgs } from 'node:util';
import type { Holding } from '../child.ts';
import { until } from '../mesh.ts';
import { type Caller, h2, http1, mutualTls, nonsense, tcp } from './callers.ts';
import { openScene, type Scene } from './scene.ts';

/** Between the calls of a caller, so that a small machine has time for everything else. */
const REST_MS = 20;
const CHANGE_MS = 3_000;
/** A call that has not come to its end by now never will. */
const ANSWER_MS = 20_000;

interface Sample {
  readonly client: Holding;
  readonly server: Holding;
}

interface Counts {
  calls: number;
  failed: number;
}

const megabytes = (bytes: number): string => (bytes / 1_048_576).toFixed(1);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function callersOf(scene: Scene): Record<string, Caller> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  return {
    'http1 kept': http1(scene, agent), 'http1 fresh': http1(scene, false), http2: h2(scene), tcp: tcp(scene, false),
    'tcp aborted': tcp(scene, true), 'mutual TLS': mutualTls(scene), nonsense: nonsense(scene),
  };
}

/** Goes on with one kind of work until it is time. */
async function work(over: () => boolean, caller: Caller, counts: Counts, rest: number): Promise<void> {
  while (!over()) {
    const good = await Promise.race([caller(), pause(ANSWER_MS)]);
    counts.calls += 1;
    if (good !== true) counts.failed += 1;
    await pause(rest);
  }
}

async function sample(scene: Scene, minutes: number, counts: ReadonlyMap<string, Counts>): Promise<Sample> {
  const [client, server] = await Promise.all([scene.client.held(), scene.server.held()]);
  const all = [...counts.values()];
  const side = ({ rss, heap, handles }: Holding) => `rss ${megabytes(rss)} heap ${megabytes(heap)} handles ${handles}`;
  const sum = (of: (each: Counts) => number) => all.reduce((total, each) => total + of(each), 0);
  console.log(`${minutes.toFixed(1)} min  calls ${sum(({ calls }) => calls)} failed ${sum(({ failed }) => failed)}  client: ${side(client)}  server: ${side(server)}`);
  return { client, server };
}

/** Handles are as many as calls happen to be open: so many more are no growth. */
const SLACK = { rss: 0, heap: 0, handles: 20 } as const;

/** What a value was before and after the second half: the means of the second and of the last quarter. */
function quarters(samples: readonly Sample[], of: (each: Sample) => number): readonly [before: number, after: number] {
  const mean = (from: number, to: number) => {
    const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map(of);
    return part.reduce((sum, each) => sum + each, 0) / part.length;
  };
  return [mean(0.25, 0.5), mean(0.75, 1)];
}

/** Prints what grew; false when something grew by more than `share`. */
function judge(samples: readonly Sample[], share: number): boolean {
  let good = true;
  for (const side of ['client', 'server'] as const) {
    for (const what of ['rss', 'heap', 'handles'] as const) {
      const [before, after] = quarters(samples, (each) => each[side][what]);
      console.log(`${side} ${what}: ${((after / before - 1) * 100).toFixed(1)} % in the second half`);
      if (after > before * (1 + share) + SLACK[what]) good = false;
    }
  }
  return good;
}

async function run(minutes: number, share: number, only: readonly string[]): Promise<boolean> {
  const scene = await openScene();
  // The first configuration is in force before the identities are here.
  await until('calls to go through', async () => (await http1(scene, false)()) && (await tcp(scene, false)()));
  const began = Date.now();
  const over = () => Date.now() - began >= minutes * 60_000;
  const takesPart = (name: string) => only.length === 0 || only.includes(name);
  const callers = Object.entries(callersOf(scene)).filter(([name]) => takesPart(name));
  const counts = new Map<string, Counts>(callers.map(([name]) => [name, { calls: 0, failed: 0 }]));
  const working = callers.map(([name, caller]) => work(over, caller, counts.get(name)!, REST_MS));
  const changes: Counts = { calls: 0, failed: 0 };
  const changing = takesPart('changes') ? work(over, () => scene.change().then(() => true), changes, CHANGE_MS) : null;
  const samples: Sample[] = [];
  const every = Math.max(2_000, (minutes * 60_000) / 60);
  while (!over()) {
    await pause(every);
    samples.push(await sample(scene, (Date.now() - began) / 60_000, counts));
  }
  await Promise.all([...working, changing]);
  for (const [name, { calls, failed }] of counts) console.log(`${name}: ${calls} calls, ${failed} failed`);
  console.log(`configurations: ${changes.calls}`);
  const flat = judge(samples, share);
  await scene.close();
  return flat && [...counts.values()].every(({ failed }) => failed === 0);
}

/** `--only changes --only 'mutual TLS'` finds out which kind of work makes something grow. */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' }, growth: { type: 'string', default: '0.15' }, only: { type: 'string', multiple: true, default: [] } } });
const good = await run(Number(values.minutes), Number(values.growth), values.only);
console.log(good ? 'flat, and no call failed' : `FAILED: something grew by more than ${values.growth}, or a call failed`);
process.exit(good ? 0 : 1);
