import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { AnalysisAnswer, AnalysisJob } from './analysis-worker.ts';
import { CallProblem } from './call.ts';
import type { ANALYSES, AnalysisMaterial } from './views/analysis.ts';

type Name = keyof typeof ANALYSES;
type Input<N extends Name> = Parameters<(typeof ANALYSES)[N]>[1];
type View<N extends Name> = ReturnType<(typeof ANALYSES)[N]>;

/** An analysis that was given up; nothing is wrong with the question. */
export class NotComputed extends Error {
  override readonly name = 'NotComputed';
  readonly why: 'too-large' | 'busy';
  constructor(why: 'too-large' | 'busy', message: string) {
    super(message);
    this.why = why;
  }
}

interface Limits {
  /** Longest that an asker waits, queue included. */
  readonly deadlineMs: number;
  /** Most questions that wait at a time. */
  readonly waiting: number;
}

/** An analysis that wants more ends by itself, and takes nothing with it. */
const MEMORY_MB = 512;
const IDLE_MS = 60_000;
const KEPT_ANSWERS = 32;
/** A question that was too large is not computed again and again while a page keeps asking. */
const REFUSED_MS = 60_000;

/**
 * Runs analyses in a thread of their own, one at a time, so that the operator goes on pushing and answering meanwhile.
 * Answers to the same question about the same objects are kept. An analysis that is not done by its deadline is ended.
 */
export class AnalysisThread {
  readonly #limits: Limits;
  readonly #kept = new Map<string, Promise<unknown>>();
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(limits: Limits = { deadlineMs: 20_000, waiting: 16 }) {
    this.#limits = limits;
  }

  /**
   * @param keep false when the question is never the same twice, such as one about recorded calls
   * @throws NotComputed, CallProblem
   */
  async run<N extends Name>(name: N, material: AnalysisMaterial, input: Input<N>, keep = true): Promise<View<N>> {
    const job: AnalysisJob = { name, material, input };
    return (keep ? this.#keptOr(job) : this.#enqueue(job)) as Promise<View<N>>;
  }

  #keptOr(job: AnalysisJob): Promise<unknown> {
    const key = createHash('sha256').update(JSON.stringify(job)).digest('base64');
    const known = this.#kept.get(key);
    if (known) return known;
    const asked = this.#enqueue(job);
    this.#kept.set(key, asked);
    asked.catch((error: unknown) => {
      const forget = () => void this.#kept.delete(key);
      if (error instanceof NotComputed && error.why === 'too-large') setTimeout(forget, REFUSED_MS).unref();
      else forget();
    });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_ANSWERS && oldest !== undefined) this.#kept.delete(oldest);
    return asked;
  }

  #enqueue(job: AnalysisJob): Promise<unknown> {
    if (this.#waiting >= this.#limits.waiting) return Promise.reject(new NotComputed('busy', 'too many analyses are waiting already'));
    this.#waiting += 1;
    const deadline = performance.now() + this.#limits.deadlineMs;
    const asked = this.#last.then(() => this.#compute(job, deadline)).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  async #compute(job: AnalysisJob, deadline: number): Promise<unknown> {
    const left = deadline - performance.now();
    if (left <= 0) throw new NotComputed('busy', 'other analyses took all of the time');
    const worker = this.#start();
    const answer = await answerOf(worker, job, left);
    if (answer === null || 'defect' in answer) await this.#end();
    else this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref();
    if (answer === null) throw new NotComputed('too-large', `not computed within ${Math.round(this.#limits.deadlineMs / 1000)} s: there are too many policies and workloads for this page`);
    if ('defect' in answer) throw new Error(`the analysis ${job.name} failed: ${answer.defect}`);
    if ('problem' in answer) throw new CallProblem(answer.problem.message, answer.problem.remedy);
    return answer.view;
  }

  #start(): Worker {
    if (this.#idle) clearTimeout(this.#idle);
    this.#worker ??= new Worker(new URL('./analysis-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB } });
    // What is still computed does not keep an operator from stopping.
    this.#worker.unref();
    return this.#worker;
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}

/** The thread's answer; null when it does not come in time. */
async function answerOf(worker: Worker, job: AnalysisJob, limitMs: number): Promise<AnalysisAnswer | null> {
  const { promise, resolve } = Promise.withResolvers<AnalysisAnswer | null>();
  const failed = (error: unknown) => resolve({ defect: String(error) });
  const timer = setTimeout(() => resolve(null), limitMs);
  worker.once('message', resolve);
  worker.once('error', failed);
  worker.postMessage(job, []);
  const answer = await promise;
  clearTimeout(timer);
  worker.off('message', resolve);
  worker.off('error', failed);
  return answer;
}
