import { newEnforcer, newModelFromString } from 'casbin';
import { at, type Engine, timed } from './engine.ts';

const MODEL = `
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`;

/**
 * node-casbin with its basic ACL model.
 *
 * Fairness: `enforceSync`, which compiles the matcher once and spares a promise each; logging and role links are off by
 * default and stay so; no matching function but `==`. `allow` first: it stops at the first rule that matches. Its
 * CachedEnforcer is left out: it remembers whole requests, for ever and without bound, and is asynchronous.
 */
export const casbin: Engine = {
  name: 'casbin',
  async load(rules, asks) {
    const { value: enforcer, ms } = await timed(async () => {
      const made = await newEnforcer(newModelFromString(MODEL));
      made.enableAutoSave(false);
      await made.addPolicies(rules.map(({ principal, method, path }) => [principal, path, method]));
      return made;
    });
    return {
      compileMs: ms,
      loaded: {
        decide(index) {
          const { principal, method, path } = at(asks, index);
          return enforcer.enforceSync(principal, path, method);
        },
      },
    };
  },
};
