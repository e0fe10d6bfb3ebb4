import { selects } from '../mesh/index.ts';
import type { AuthorizationPolicy, MeshSpec, PeerAuthentication } from '../resources/index.ts';
import { normalizePath } from './path.ts';
import { compileRule, type Predicate, requestFacts, type RequestFacts } from './rule.ts';
import type { Decision, EffectiveMtls, PolicyRequest } from './types.ts';

/** Everything that bears on one workload. Policies of other namespaces may be present; they are left out here. */
export interface WorkloadPolicyInput {
  readonly mesh: MeshSpec;
  readonly workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
}

interface CompiledPolicy {
  readonly id: string;
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT';
  readonly dryRun: boolean;
  readonly rules: readonly Predicate[];
}

/** Opaque result of {@link compileWorkloadPolicy}; immutable, safe to share between requests. */
export interface CompiledWorkloadPolicy {
  readonly mesh: MeshSpec;
  readonly policies: readonly CompiledPolicy[];
  readonly peer: readonly PeerAuthentication[];
  readonly namespace: string;
}

/**
 * Selects and compiles what applies to one workload: policies of its namespace and of the root namespace whose
 * selector matches its labels (Istio: scope is additive, without precedence).
 */
export function compileWorkloadPolicy(input: WorkloadPolicyInput): CompiledWorkloadPolicy {
  const { mesh, workload } = input;
  const policies = input.authorizationPolicies
    .filter((policy) => applies(policy.metadata.namespace, policy.spec.selector?.matchLabels, input))
    .map((policy) => compilePolicy(policy, mesh));
  const peer = input.peerAuthentications.filter((policy) => peerApplies(policy, input));
  return { mesh, policies, peer, namespace: workload.namespace };
}

function applies(namespace: string | undefined, labels: Readonly<Record<string, string>> | undefined, input: WorkloadPolicyInput): boolean {
  if (namespace !== input.workload.namespace && namespace !== input.mesh.rootNamespace) return false;
  return selects(labels, input.workload.labels);
}

/** Istio: a selector in the root namespace is ignored for PeerAuthentication, so such an object applies to nothing. */
function peerApplies(policy: PeerAuthentication, input: WorkloadPolicyInput): boolean {
  const labels = policy.spec.selector?.matchLabels;
  const own = policy.metadata.namespace === input.workload.namespace;
  if (!own && hasSelector(policy)) return false;
  return applies(policy.metadata.namespace, labels, input);
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}

function compilePolicy(policy: AuthorizationPolicy, mesh: MeshSpec): CompiledPolicy {
  const { action, enforcement, rules } = policy.spec;
  const namespace = policy.metadata.namespace ?? '';
  return {
    id: `${namespace}/${policy.metadata.name}`,
    action,
    dryRun: enforcement === 'DryRun',
    rules: (rules ?? []).map((rule) => compileRule(rule, { mesh, namespace, deny: action === 'DENY' })),
  };
}

function firstMatch(policy: CompiledPolicy, facts: RequestFacts): number {
  return policy.rules.findIndex((rule) => rule(facts));
}

/**
 * Decides one request or connection.
 *
 * Istio's order, https://istio.io/latest/docs/concepts/security/#implicit-enablement:
 * "If any DENY policy matches, deny. If there are no ALLOW policies for the workload, allow. If any ALLOW policy
 * matches, allow. Deny." AUDIT and DryRun policies are reported as `shadow` and never decide.
 */
export function decide(compiled: CompiledWorkloadPolicy, request: PolicyRequest): Decision {
  const normal = request.http ? normalizePath(request.http.path, compiled.mesh.pathNormalization) : null;
  if (normal && !normal.ok) return rejectedPath(normal.problem);
  const path = normal ? normal.path : null;
  const facts = requestFacts(request, path ?? '', compiled.mesh);
  const shadow = shadowMatches(compiled, facts);
  const enforced = compiled.policies.filter((policy) => !policy.dryRun && policy.action !== 'AUDIT');
  const common = { shadow, normalizedPath: path };
  for (const policy of enforced.filter((p) => p.action === 'DENY')) {
    const rule = firstMatch(policy, facts);
    if (rule >= 0) {
      const explanation = `rule ${rule} of DENY policy ${policy.id} matches`;
      return { effect: 'DENY', status: 403, reason: 'policy-deny', policy: policy.id, rule, explanation, ...common };
    }
  }
  return { ...decideAllow(enforced.filter((p) => p.action === 'ALLOW'), facts), ...common };
}

function decideAllow(allows: readonly CompiledPolicy[], facts: RequestFacts): Omit<Decision, 'shadow' | 'normalizedPath'> {
  if (allows.length === 0) {
    return { effect: 'ALLOW', status: 200, reason: null, policy: null, rule: null, explanation: 'no ALLOW policy selects this workload' };
  }
  for (const policy of allows) {
    const rule = firstMatch(policy, facts);
    if (rule >= 0) {
      const explanation = `rule ${rule} of ALLOW policy ${policy.id} matches`;
      return { effect: 'ALLOW', status: 200, reason: null, policy: policy.id, rule, explanation };
    }
  }
  const names = allows.map((policy) => policy.id).join(', ');
  // With one policy it is clear which one is to be edited; with several no single one decided.
  const policy = allows.length === 1 ? (allows[0]?.id ?? null) : null;
  return { effect: 'DENY', status: 403, reason: 'policy-no-allow', policy, rule: null, explanation: `no rule of ALLOW ${names} matches` };
}

function shadowMatches(compiled: CompiledWorkloadPolicy, facts: RequestFacts): Decision['shadow'] {
  return compiled.policies
    .filter((policy) => policy.dryRun || policy.action === 'AUDIT')
    .map((policy) => ({ policy: policy.id, action: policy.action, rule: firstMatch(policy, facts) }))
    .filter((match) => match.rule >= 0);
}

function rejectedPath(problem: string): Decision {
  return { effect: 'DENY', status: 400, reason: 'path-rejected', policy: null, rule: null, explanation: problem, shadow: [], normalizedPath: null };
}

/**
 * The mTLS mode of one port of the workload.
 *
 * Istio: workload > namespace > mesh; "the oldest policy wins" within one scope; UNSET inherits; the default is
 * PERMISSIVE. `portLevelMtls` counts only with a selector.
 */
export function effectiveMtls(compiled: CompiledWorkloadPolicy, port: number): EffectiveMtls {
  const { namespace } = compiled;
  const own = compiled.peer.filter((policy) => policy.metadata.namespace === namespace);
  const root = compiled.peer.filter((policy) => policy.metadata.namespace === compiled.mesh.rootNamespace);
  const workload = oldest(own.filter(hasSelector));
  const portMode = workload?.spec.portLevelMtls?.[String(port)]?.mode;
  if (workload && portMode && portMode !== 'UNSET') return { mode: portMode, policy: idOf(workload), scope: 'port' };
  const scopes = [
    ['workload', workload],
    ['namespace', namespace === compiled.mesh.rootNamespace ? undefined : oldest(own.filter((p) => !hasSelector(p)))],
    ['mesh', oldest(root.filter((p) => !hasSelector(p)))],
  ] as const;
  for (const [scope, policy] of scopes) {
    const mode = policy?.spec.mtls?.mode;
    if (policy && mode && mode !== 'UNSET') return { mode, policy: idOf(policy), scope };
  }
  return { mode: 'PERMISSIVE', policy: null, scope: 'default' };
}

function idOf(policy: PeerAuthentication): string {
  return `${policy.metadata.namespace ?? ''}/${policy.metadata.name}`;
}

/** Oldest by creation time, then by name, so that ties are settled the same way everywhere. */
function oldest(policies: readonly PeerAuthentication[]): PeerAuthentication | undefined {
  const key = (p: PeerAuthentication) => `${p.metadata.creationTimestamp ?? ''}\n${p.metadata.name}`;
  return [...policies].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))[0];
}
