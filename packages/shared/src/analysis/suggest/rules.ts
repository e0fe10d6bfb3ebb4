import type { AuthorizationRule, RuleOperation, RuleSource } from '../../resources/index.ts';

/** One kind of call that is to be let in. */
export interface AllowedCall {
  /** SPIFFE ID; null for a caller without identity, who is let in by address. */
  readonly principal: string | null;
  readonly ip: string;
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  readonly method: string | null;
  /** With volatile segments as `{id}`; null for TCP. */
  readonly path: string | null;
}

/** Most values of one list, as the schema has it. */
const MOST_VALUES = 512;
/** Most ALLOW rules of one policy, and entries of a rule. */
const MOST_ENTRIES = 512;

/**
 * The ALLOW rules that let in exactly these calls, each identity with its own methods, paths and ports; callers who may
 * do the same share a rule, as a person would write it. A call that {@link pathPattern} cannot write is left out.
 */
export function allowRules(calls: readonly AllowedCall[]): AuthorizationRule[] {
  const chosen: { source: RuleSource; to: { operation: RuleOperation }[] }[] = [];
  const expressible = calls.filter((call) => call.path === null || pathPattern(call.path) !== null);
  const bySource = Map.groupBy(expressible, ({ principal, ip }) => (principal === null ? `ip:${ip}` : `id:${principal}`));
  for (const [, rows] of [...bySource].sort(([a], [b]) => a.localeCompare(b))) {
    const [first] = rows;
    // An ALLOW rule that holds anything about HTTP never matches on a TCP port, so those have rules of their own.
    if (first) for (const same of Map.groupBy(rows, (row) => row.protocol).values()) chosen.push({ source: sourceOf(first), to: operationsOf(same) });
  }
  const byOperations = Map.groupBy(chosen, ({ source, to }) => `${source.principals ? 'id' : 'ip'} ${JSON.stringify(to)}`);
  return [...byOperations.values()].flatMap((sources) => {
    const to = sources[0]?.to ?? [];
    return chunks(sources.map(({ source }) => source), MOST_VALUES).flatMap((some) => chunks(to, MOST_ENTRIES).map((part): AuthorizationRule => ({ from: [{ source: mergeSources(some) }], to: part })));
  });
}

function sourceOf({ principal, ip }: AllowedCall): RuleSource {
  // Istio writes principals without the scheme.
  return principal === null ? { ipBlocks: [`${ip}/${ip.includes(':') ? 128 : 32}`] } : { principals: [principal.replace(/^spiffe:\/\//, '')] };
}

function mergeSources(sources: readonly RuleSource[]): RuleSource {
  const principals = sources.flatMap((source) => source.principals ?? []);
  return principals.length > 0 ? { principals } : { ipBlocks: sources.flatMap((source) => source.ipBlocks ?? []) };
}

/** One operation for each set of methods that share a port; only paths with the very same methods stand together. */
function operationsOf(rows: readonly AllowedCall[]): { operation: RuleOperation }[] {
  const byPath = Map.groupBy(rows, (row) => `${row.port} ${row.path ?? ''}`);
  const entries = [...byPath.values()].map((same) => ({
    port: same[0]?.port ?? 0,
    path: same[0]?.path ?? null,
    methods: [...new Set(same.flatMap((row) => row.method ?? []))].sort(),
  }));
  const byMethods = Map.groupBy(entries, (entry) => `${entry.port} ${entry.methods.join(',')} ${entry.path === null}`);
  return [...byMethods.values()].flatMap((same) => {
    const paths = [...new Set(same.flatMap((entry) => (entry.path === null ? [] : (pathPattern(entry.path) ?? []))))].sort();
    const base = { ports: [String(same[0]?.port)], ...(same[0]?.methods.length ? { methods: same[0].methods } : {}) };
    if (paths.length === 0) return [{ operation: base }];
    return chunks(paths, MOST_VALUES).map((some) => ({ operation: { ...base, paths: some } }));
  });
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/**
 * The pattern that matches a reported path and nothing else but other values of its `{id}` segments: Istio's template for
 * one segment is `{*}`. Null for a path that no pattern says exactly, such as one with a star.
 */
export function pathPattern(path: string): string | null {
  const segments = path.split('/').map((segment) => (segment === '{id}' ? '{*}' : segment));
  return segments.every((segment) => segment === '{*}' || !/[*{}]/.test(segment)) && path !== '' ? segments.join('/') : null;
}
