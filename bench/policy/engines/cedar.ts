import { preparsePolicySet, statefulIsAuthorized, type StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import { at, type Engine, timed } from './engine.ts';

/** Sets are kept by name inside the module. */
let sets = 0;

/**
 * Cedar 4 in WebAssembly, official build.
 *
 * Fairness: the policy set is parsed once (`preparsePolicySet`) and asked with `statefulIsAuthorized`, which takes no
 * policies; one policy a rule with all three in its scope, where Cedar looks first; no entities, no context, no schema,
 * no validation of requests. The calls are plain objects made beforehand; their way into WebAssembly is part of each
 * decision, as it is for whoever uses this package.
 */
export const cedar: Engine = {
  name: 'cedar-wasm',
  async load(rules, asks) {
    const set = `bench-${(sets += 1)}`;
    const staticPolicies = Object.fromEntries(rules.map(({ principal, method, path }, index) => [
      `rule-${index}`,
      `permit(principal == Caller::${JSON.stringify(principal)}, action == Action::${JSON.stringify(method)}, resource == Path::${JSON.stringify(path)});`,
    ]));
    const { value, ms } = await timed(() => preparsePolicySet(set, { staticPolicies, templates: {}, templateLinks: [] }));
    if (value.type !== 'success') throw new Error(`cedar refused the policies: ${JSON.stringify(value.errors.slice(0, 2))}`);
    const calls = asks.map(({ principal, method, path }): StatefulAuthorizationCall => ({
      principal: { type: 'Caller', id: principal },
      action: { type: 'Action', id: method },
      resource: { type: 'Path', id: path },
      context: {},
      preparsedPolicySetId: set,
      entities: [],
    }));
    return { compileMs: ms, loaded: { decide: (index) => isAllowed(at(calls, index)) } };
  },
};

function isAllowed(call: StatefulAuthorizationCall): boolean {
  const answer = statefulIsAuthorized(call);
  if (answer.type !== 'success') throw new Error(`cedar did not decide: ${JSON.stringify(answer.errors)}`);
  return answer.response.decision === 'allow';
}
