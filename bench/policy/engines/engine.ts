import type { Ask, Rule } from '../cases.ts';

/** An engine that has loaded rules. Each request is turned beforehand into what the engine takes; that is not timed. */
export interface Loaded {
  /** Decides one prepared request, by its number. */
  readonly decide: (index: number) => boolean;
}

export interface Engine {
  readonly name: string;
  /** Compiles the rules, which is timed as such, then prepares the requests. */
  readonly load: (rules: readonly Rule[], asks: readonly Ask[]) => Promise<{ readonly compileMs: number; readonly loaded: Loaded }>;
}

/** Runs a step and says how long it took. */
export async function timed<T>(step: () => T | Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const begin = performance.now();
  const value = await step();
  return { value, ms: performance.now() - begin };
}

/** The prepared request of a number; a miss is a mistake of the bench itself. */
export function at<T>(prepared: readonly T[], index: number): T {
  const found = prepared[index];
  if (found === undefined) throw new Error(`there is no request ${index}`);
  return found;
}
