import { allowRules } from '@sallyport/shared/analysis';
import type { Caller, CallersView } from '@sallyport/shared/api';
import { API_VERSION, type AuthorizationPolicySpec, type AuthorizationRule } from '@sallyport/shared/resources';
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

/** The rules that the command line would suggest for these calls: the code is the same. */
function rulesOf({ destination, calls, addresses }: PolicyChoice): AuthorizationRule[] {
  const chosen = destination.callers.filter((caller) => (caller.principal === null ? addresses.has(caller.ip) : calls.has(callKey(caller))));
  return allowRules(chosen);
}

/** A name for the policy of a service that is a legal label. */
export function suggestedName(service: string): string {
  return `allow-${service}`.slice(0, 63).replace(/-+$/, '');
}

/** Why a name cannot be a resource's; null when it can (RFC 1123 label). */
export function nameProblem(name: string): string | null {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name) ? null : 'Lower-case letters, digits and dashes, at most 63, not beginning or ending with a dash.';
}
