import { PerformanceObserver } from 'node:perf_hooks';
import { asksOf, MIXES, rulesOf } from './cases.ts';
import { ours } from './engines/ours.ts';

/** Started by allocation.ts with `--expose-gc` and a large young generation; prints one JSON object. */
const WARM = 200_000;
const COUNTED = 1_000_000;

async function main(rules: number): Promise<void> {
  const [mix] = MIXES;
  const { gc } = globalThis;
  if (mix === undefined || gc === undefined) throw new Error('start this through allocation.ts, which passes --expose-gc');
  const asks = asksOf(mix, rules);
  const { loaded } = await ours.load(rulesOf(mix, rules), asks.map(({ ask }) => ask));
  const decide = (count: number) => {
    for (let done = 0; done < count; done += 1) loaded.decide(done % asks.length);
  };
  let collections = 0;
  new PerformanceObserver((list) => { collections += list.getEntries().length; }).observe({ entryTypes: ['gc'] });
  decide(WARM);
  gc();
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  decide(COUNTED);
  const grown = process.memoryUsage().heapUsed - before;
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  if (collections > 0) throw new Error(`${collections} collections ran while allocations were counted`);
  console.log(JSON.stringify({ rules, bytesPerDecision: Math.max(0, grown) / COUNTED, decisions: COUNTED }));
}

await main(Number(process.argv[2]));
