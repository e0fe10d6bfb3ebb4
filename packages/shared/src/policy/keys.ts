import type { AuthorizationRule, RuleOperation, RuleSource } from '../resources/index.ts';
import { principalPatterns } from './identity.ts';
import { isTemplate } from './match.ts';
import type { Dimension } from './probe.ts';
import { accountPatterns, type RuleContext } from './rule.ts';
import type { IndexedRule, RuleKeys } from './table.ts';

/**
 * The exact values of which a request must have one for the rule to match, by dimension: a necessary condition, so that
 * a rule may be left aside when the request has none of them. Unless they are `complete`, the rule's own test decides.
 */
export function ruleKeys(rule: AuthorizationRule, context: RuleContext): Pick<IndexedRule, 'keys' | 'complete'> {
  const { mesh, namespace, protocol } = context;
  const sources = rule.from?.map(({ source }) => source);
  const operations = rule.to?.map(({ operation }) => operation);
  const http = protocol === 'http';
  const all: Partial<Record<Dimension, readonly string[] | undefined>> = {
    principal: union(sources, (source) => source.principals && principalPatterns(source.principals, mesh)),
    // Istio finds these two anywhere in the identity's text, so its own form is no key there.
    serviceAccount: mesh.compatibility === 'istio' ? undefined : union(sources, (source) => source.serviceAccounts && accountPatterns(source.serviceAccounts, namespace)),
    namespace: mesh.compatibility === 'istio' ? undefined : union(sources, (source) => source.namespaces),
    port: union(operations, (operation) => operation.ports),
    // On a TCP port HTTP fields are dropped from the rule and must not be asked for.
    ...(http ? httpKeys(rule, operations) : {}),
  };
  const keys = Object.fromEntries(Object.entries(all).filter(([, values]) => values !== undefined)) as RuleKeys;
  return { keys, complete: isComplete(rule, keys) };
}

function httpKeys(rule: AuthorizationRule, operations: readonly RuleOperation[] | undefined): Partial<Record<Dimension, readonly string[] | undefined>> {
  const header = rule.when?.find(({ key, values }) => HEADER.test(key) && values?.every(isExact));
  const name = header && HEADER.exec(header.key)?.[1]?.toLowerCase();
  return {
    path: union(operations, (operation) => operation.paths),
    method: union(operations, (operation) => operation.methods),
    host: union(operations, (operation) => operation.hosts?.map((host) => host.toLowerCase())),
    pathHead: union(operations, (operation) => pathHeads(operation.paths)),
    ...(header && name !== undefined ? { [`header:${name}`]: header.values } : {}),
  };
}

/** Pseudo-headers are no headers of the request. */
const HEADER = /^request\.headers\[([^:].*)\]$/;

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

/** What every path of each pattern begins with, up to a slash; undefined when one of them could begin with anything. */
function pathHeads(patterns: readonly string[] | undefined): string[] | undefined {
  const heads: string[] = [];
  for (const pattern of patterns ?? []) {
    if (pattern.startsWith('*')) return undefined;
    // A star elsewhere than at the end is a character like any other.
    const literal = isTemplate(pattern) ? pattern.slice(0, pattern.indexOf('{')) : pattern.endsWith('*') ? pattern.slice(0, -1) : pattern;
    const head = literal.slice(0, literal.lastIndexOf('/') + 1);
    if (head.length < 2) return undefined;
    heads.push(head);
  }
  return patterns === undefined ? undefined : heads;
}

/** Fields whose exact values are keys under another name. */
const KEY_OF_FIELD: Readonly<Record<string, Dimension>> = {
  principals: 'principal', serviceAccounts: 'serviceAccount', namespaces: 'namespace', ports: 'port', methods: 'method', paths: 'path',
};

/**
 * True when the keys say all that the rule says: no condition, and in `from` and `to` each either one entry, whose
 * fields are ANDed like dimensions, or entries with the same one field, whose values are ORed like keys.
 */
function isComplete(rule: AuthorizationRule, keys: RuleKeys): boolean {
  if (rule.when !== undefined) return false;
  const said = (entries: readonly (RuleSource | RuleOperation)[]) => {
    const fields = new Set(entries.flatMap((entry) => Object.keys(entry)));
    if (entries.length > 1 && fields.size > 1) return false;
    return [...fields].every((field) => {
      const values = keys[KEY_OF_FIELD[field] ?? 'host'];
      // An empty principal would equal that of a plaintext peer, which the rule's own test keeps out.
      return Object.hasOwn(KEY_OF_FIELD, field) && values !== undefined && !values.includes('');
    });
  };
  return said((rule.from ?? []).map(({ source }) => source)) && said((rule.to ?? []).map(({ operation }) => operation));
}
