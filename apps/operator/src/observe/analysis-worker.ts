import { parentPort } from 'node:worker_threads';
import { type AnalysisMaterial, ANALYSES, problemOf } from './views/analysis.ts';

/** What is asked of the thread. */
export interface AnalysisJob {
  readonly name: keyof typeof ANALYSES;
  readonly material: AnalysisMaterial;
  readonly input: unknown;
}

/** What it answers: a view, something that the asker can mend, or a defect. */
export type AnalysisAnswer = { readonly view: unknown } | { readonly problem: { readonly message: string; readonly remedy: string | null } } | { readonly defect: string };

function answer({ name, material, input }: AnalysisJob): AnalysisAnswer {
  try {
    const analyse = ANALYSES[name] as (given: AnalysisMaterial, asked: never) => unknown;
    return { view: analyse(material, input as never) };
  } catch (error) {
    const problem = problemOf(error);
    return problem ? { problem } : { defect: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

parentPort?.on('message', (job: AnalysisJob) => parentPort?.postMessage(answer(job), []));
