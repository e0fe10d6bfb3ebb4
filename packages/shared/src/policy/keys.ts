import type { AuthorizationRule, RuleOperation, RuleSource } from '../resources/index.ts';
import { principalPatterns } from './identity.ts';
import { isTemplate } from './match.ts';
import { accountPatterns, type RuleContext } from './rule.ts';
import type { IndexedRule } from './table.ts';

/**
 * The exact values of which a request must have one for the rule to match, by dimension: a necessary condition, so that
 * a rule may be left aside when the request has none of them. The rule's own test still decides.
 */
export function ruleKeys(rule: AuthorizationRule, context: RuleContext): IndexedRule['keys'] {
  const { mesh, namespace, protocol } = context;
  const sources = rule.from?.map(({ source }) => source);
  const operations = rule.to?.map(({ operation }) => operation);
  const keys = {
    principal: union(sources, (source: RuleSource) => source.principals && principalPatterns(source.principals, mesh)),
    // Istio finds these two anywhere in the identity's text, so its own form is no key there.
    serviceAccount: mesh.compatibility === 'istio' ? undefined : union(sources, (source: RuleSource) => source.serviceAccounts && accountPatterns(source.serviceAccounts, namespace)),
    namespace: mesh.compatibility === 'istio' ? undefined : union(sources, (source: RuleSource) => source.namespaces),
    port: union(operations, (operation: RuleOperation) => operation.ports),
    // On a TCP port a path is dropped from the rule and must not be asked for.
    path: protocol === 'tcp' ? undefined : union(operations, (operation: RuleOperation) => operation.paths),
  };
  return Object.fromEntries(Object.entries(keys).filter(([, values]) => values !== undefined));
}

/** Values over all entries, if every entry has the field and all its values are exact. */
function union<E>(entries: readonly E[] | undefined, values: (entry: E) => readonly string[] | undefined): string[] | undefined {
  if (entries === undefined) return undefined;
  const all: string[] = [];
  for (const entry of entries) {
    const listed = values(entry);
    if (listed === undefined || !listed.every(isExact)) return undefined;
    all.push(...listed);
  }
  return all;
}

function isExact(pattern: string): boolean {
  return !pattern.startsWith('*') && !pattern.endsWith('*') && !isTemplate(pattern);
}
