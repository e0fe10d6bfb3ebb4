import { asksOf, type Mix, rulesOf } from './cases.ts';
import type { Engine, Loaded } from './engines/engine.ts';

/** One engine at one size of one mix. */
export interface Measurement {
  readonly mix: string;
  readonly rules: number;
  readonly engine: string;
  /** Median over the rounds. */
  readonly nsPerDecision: number;
  readonly compileMs: number;
}

/** How long one round of one engine should take, so that the clock's grain and one pause of the collector do not count. */
const ROUND_MS = 15;
const ROUNDS = 11;

interface Contender {
  readonly rules: number;
  readonly name: string;
  readonly loaded: Loaded;
  readonly compileMs: number;
  readonly batch: number;
  readonly asks: number;
  readonly samples: number[];
  next: number;
}

/**
 * Measures all engines on one mix at all sizes: all verdicts first, which must agree with what is known, then rounds in
 * which engines and sizes take turns, each from where it left off in its list of requests. What else the machine does
 * meanwhile then falls on all of them alike.
 *
 * @throws Error naming the first request on which an engine is wrong
 */
export async function measure(mix: Mix, sizes: readonly number[], engines: readonly Engine[]): Promise<Measurement[]> {
  const contenders: Contender[] = [];
  for (const size of sizes) for (const engine of engines) contenders.push(await enter(mix, size, engine));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      // Another one begins each round, so that none always follows the same neighbour.
      const contender = contenders[(round * 7 + turn) % contenders.length];
      if (contender) runBatch(contender);
    }
  }
  return contenders.map(({ name, rules, compileMs, samples }) => ({ mix: mix.name, rules, engine: name, nsPerDecision: median(samples), compileMs }));
}

async function enter(mix: Mix, size: number, engine: Engine): Promise<Contender> {
  const asks = asksOf(mix, size);
  const { compileMs, loaded } = await engine.load(rulesOf(mix, size), asks.map(({ ask }) => ask));
  const wrong = asks.findIndex(({ allowed }, index) => loaded.decide(index) !== allowed);
  if (wrong >= 0) throw new Error(`${engine.name} decides request ${wrong} of "${mix.name}" with ${size} rules wrongly: ${JSON.stringify(asks[wrong])}`);
  return { rules: size, name: engine.name, loaded, compileMs, batch: batchSize(loaded, asks.length), asks: asks.length, samples: [], next: 0 };
}

/** Decisions of one round: even, because allowed and denied requests alternate. Also warms the engine. */
function batchSize(loaded: Loaded, asks: number): number {
  let count = 2;
  for (;;) {
    const spent = spend(loaded, 0, count, asks);
    if (spent >= ROUND_MS) return count;
    count = spent < ROUND_MS / 8 ? count * 4 : 2 * Math.ceil((count * ROUND_MS * 1.1) / spent / 2);
  }
}

function runBatch(contender: Contender): void {
  const { loaded, batch, next, samples, asks } = contender;
  samples.push((spend(loaded, next, batch, asks) * 1e6) / batch);
  contender.next = (next + batch) % asks;
}

/** Milliseconds of so many decisions. */
function spend(loaded: Loaded, first: number, count: number, asks: number): number {
  const begin = performance.now();
  let index = first;
  for (let done = 0; done < count; done += 1) {
    loaded.decide(index);
    index = index + 1 === asks ? 0 : index + 1;
  }
  return performance.now() - begin;
}

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  if (low === undefined || high === undefined) throw new Error('no values were measured');
  return (low + high) / 2;
}
