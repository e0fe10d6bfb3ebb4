import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { readFileSync } from 'node:fs';
import type { Ask, Rule } from '../cases.ts';
import { at, type Engine, timed } from './engine.ts';

const WASM = new URL('rules.wasm', import.meta.url);

/**
 * Open Policy Agent, compiled to WebAssembly from rules.rego.
 *
 * Fairness: one instance, the rules loaded once as data (`setData`), the entry point by number, the ABI's single-call
 * path (`opa_eval`), enough memory from the start. The input goes in as JSON, which is the only way in. Twice, because
 * OPA's rule index exists in its Go evaluator alone: `list` tries each rule, `keyed` finds it in an object that the
 * policy's author had to divide by hand; that one is the best case of OPA and no longer the same text as the rules.
 */
function opa(name: string, entrypoint: string, dataOf: (rules: readonly Rule[]) => object): Engine {
  return {
    name,
    async load(rules, asks) {
      const { value: policy, ms } = await timed(async () => {
        const made = await loadPolicy(readFileSync(WASM), { initial: 1024, maximum: 16_384 });
        made.setData(dataOf(rules));
        return made;
      });
      const entry = policy.entrypoints[entrypoint];
      if (entry === undefined) throw new Error(`rules.wasm has no entry point ${entrypoint}; compile it again as the README says`);
      const inputs = asks.map((ask): Ask => ({ ...ask }));
      return { compileMs: ms, loaded: { decide: (index) => policy.evaluate(at(inputs, index), entry)[0]?.result === true } };
    },
  };
}

function divided(rules: readonly Rule[]): object {
  const index: Record<string, Record<string, Record<string, boolean>>> = {};
  for (const { principal, path, method } of rules) ((index[principal] ??= {})[path] ??= {})[method] = true;
  return { index };
}

export const opaList = opa('opa-wasm list', 'sallyport/list', (rules) => ({ rules }));
export const opaKeyed = opa('opa-wasm keyed', 'sallyport/keyed', divided);
