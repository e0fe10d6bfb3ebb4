import type { Caller, CallersView } from '@sallyport/shared/api';
import { API_VERSION, type AuthorizationPolicySpec, type AuthorizationRule, type RuleOperation, type RuleSource } from '@sallyport/shared/resources';
import { stringify } from 'yaml';

/** Calls of one source: of one identity, or of one address that showed none. */
export interface CallerGroup {
  /** `id:<spiffe id>` or `ip:<address>`. */
  readonly key: string;
  readonly principal: string | null;
  readonly ips: readonly string[];
  readonly workload: string | null;
  readonly mtls: Caller['mtls'];
  readonly declared: boolean;
  readonly requests: number;
  readonly denied: number;
  readonly rows: readonly Caller[];
}

/** Names one kind of call for as long as the wizard is open. */
export function callKey(caller: Caller): string {
  return [sourceKey(caller), caller.port, caller.protocol, caller.method ?? '', caller.path ?? ''].join(' ');
}

function sourceKey(caller: Caller): string {
  return caller.principal === null ? `ip:${caller.ip}` : `id:${caller.principal}`;
}

/** Groups calls by who made them, in an order that a refresh does not change. */
export function groupCallers(callers: readonly Caller[]): CallerGroup[] {
  const groups = Map.groupBy(callers, sourceKey);
  return [...groups]
    .map(([key, rows]) => ({
      key,
      principal: rows[0]?.principal ?? null,
      ips: [...new Set(rows.map((row) => row.ip))].sort(),
      workload: rows.find((row) => row.workload !== null)?.workload ?? null,
      mtls: weakest(rows),
      declared: rows.every((row) => row.declared),
      requests: sum(rows.map((row) => row.requests)),
      denied: sum(rows.map((row) => row.denied)),
      rows: [...rows].sort((a, b) => callKey(a).localeCompare(callKey(b))),
    }))
    .sort((a, b) => a.key.localeCompare(b.key));
}

function weakest(rows: readonly Caller[]): Caller['mtls'] {
  return (['plaintext', 'unknown', 'mutual'] as const).find((state) => rows.some((row) => row.mtls === state)) ?? 'unknown';
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** What is ticked at first: declared calls with an identity that got through. Never a plaintext caller, never one undeclared. */
export function suggestedCalls(callers: readonly Caller[]): string[] {
  return callers.filter((caller) => caller.principal !== null && caller.declared && caller.requests > caller.denied).map(callKey);
}

export interface PolicyChoice {
  readonly name: string;
  readonly destination: Pick<CallersView, 'namespace' | 'selector' | 'callers'>;
  /** Keys of the ticked calls, see {@link callKey}. */
  readonly calls: ReadonlySet<string>;
  /** Addresses without identity that the author chose to let in as addresses. */
  readonly addresses: ReadonlySet<string>;
}

/**
 * The ALLOW policy that lets in exactly what was chosen, as YAML. Nothing chosen: a policy without rules, which denies all.
 * A caller without identity is let in only by its address and only if that was chosen; ticking its calls alone does nothing.
 */
export function policyYaml(choice: PolicyChoice): string {
  const rules = rulesOf(choice);
  const spec: AuthorizationPolicySpec = {
    ...(Object.keys(choice.destination.selector).length > 0 ? { selector: { matchLabels: choice.destination.selector } } : {}),
    action: 'ALLOW',
    ...(rules.length > 0 ? { rules } : {}),
    enforcement: 'Enforce',
  };
  return stringify(
    { apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name: choice.name, namespace: choice.destination.namespace }, spec },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

function rulesOf({ destination, calls, addresses }: PolicyChoice): AuthorizationRule[] {
  const chosen: { source: RuleSource; to: { operation: RuleOperation }[] }[] = [];
  for (const group of groupCallers(destination.callers)) {
    const source = sourceOf(group, addresses);
    const rows = group.rows.filter((row) => (group.principal === null ? source !== null : calls.has(callKey(row))));
    // An ALLOW rule that holds anything about HTTP never matches on a TCP port, so those have rules of their own.
    if (source !== null) for (const same of Map.groupBy(rows, (row) => row.protocol).values()) chosen.push({ source, to: operationsOf(same) });
  }
  // Sources that may do the same share a rule: that is how a person would write it.
  const byOperations = Map.groupBy(chosen, ({ source, to }) => `${source.principals ? 'id' : 'ip'} ${JSON.stringify(to)}`);
  return [...byOperations.values()].map((sources) => ({ from: [{ source: mergeSources(sources.map(({ source }) => source)) }], to: sources[0]?.to }));
}

function sourceOf(group: CallerGroup, addresses: ReadonlySet<string>): RuleSource | null {
  // Istio writes principals without the scheme.
  if (group.principal !== null) return { principals: [group.principal.replace(/^spiffe:\/\//, '')] };
  const ips = group.ips.filter((ip) => addresses.has(ip));
  return ips.length > 0 ? { ipBlocks: ips.map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`) } : null;
}

function mergeSources(sources: readonly RuleSource[]): RuleSource {
  const principals = sources.flatMap((source) => source.principals ?? []);
  if (principals.length > 0) return { principals };
  return { ipBlocks: sources.flatMap((source) => source.ipBlocks ?? []) };
}

/** One operation for each set of methods that share a port and path; a TCP port has neither. */
function operationsOf(rows: readonly Caller[]): { operation: RuleOperation }[] {
  const byPath = Map.groupBy(rows, (row) => `${row.port} ${row.path ?? ''}`);
  const entries = [...byPath.values()].map((same) => ({
    port: same[0]?.port ?? 0,
    path: same[0]?.path ?? null,
    methods: [...new Set(same.flatMap((row) => row.method ?? []))].sort(),
  }));
  const byMethods = Map.groupBy(entries, (entry) => `${entry.port} ${entry.methods.join(',')} ${entry.path === null}`);
  return [...byMethods.values()].map((same) => {
    const paths = same.flatMap((entry) => (entry.path === null ? [] : [pathPattern(entry.path)])).sort();
    const methods = same[0]?.methods ?? [];
    return {
      operation: {
        ports: [String(same[0]?.port)],
        ...(methods.length > 0 ? { methods } : {}),
        ...(paths.length > 0 ? { paths } : {}),
      },
    };
  });
}

/** Reports show volatile segments as `{id}`; Istio's template for one segment is `{*}`. */
function pathPattern(path: string): string {
  return path.replaceAll('{id}', '{*}');
}

/** A name for the policy of a service that is a legal label. */
export function suggestedName(service: string): string {
  return `allow-${service}`.slice(0, 63).replace(/-+$/, '');
}

/** Why a name cannot be a resource's; null when it can (RFC 1123 label). */
export function nameProblem(name: string): string | null {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name) ? null : 'Lower-case letters, digits and dashes, at most 63, not beginning or ending with a dash.';
}
