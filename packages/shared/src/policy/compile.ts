import { selects } from '../mesh/index.ts';
import type { AuthorizationPolicy, AuthorizationRule, MeshSpec, PeerAuthentication, RequestAuthentication } from '../resources/index.ts';
import { Facts } from './facts.ts';
import { ruleKeys } from './keys.ts';
import { compileRule, type RuleContext } from './rule.ts';
import { type IndexedRule, RuleTable } from './table.ts';
import type { Decision, PolicyRequest } from './types.ts';

/** The workload whose policies are compiled. */
export interface PolicyTarget {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of the services of its namespace that lead to it: what `targetRefs` attach to. */
  readonly services?: readonly string[];
}

/** Everything that bears on one workload. Policies of other namespaces may be present; they are left out here. */
export interface WorkloadPolicyInput {
  readonly mesh: MeshSpec;
  readonly workload: PolicyTarget;
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications?: readonly RequestAuthentication[];
}

/** One rule of one policy, by where it stands. */
interface RuleSite {
  readonly policy: string;
  readonly action: AuthorizationPolicy['spec']['action'];
  readonly rule: number;
  readonly provider: string | null;
}

interface TableWithSites {
  readonly table: RuleTable;
  /** By the rules' ordinals. */
  readonly decisions: readonly Decision[];
}

/** The rules that decide one protocol's requests. */
export interface ProtocolPolicy {
  readonly deny: TableWithSites;
  readonly custom: TableWithSites;
  readonly allow: TableWithSites;
  /** One table a policy: each is reported by itself. */
  readonly shadow: readonly { readonly table: RuleTable; readonly sites: readonly RuleSite[] }[];
}

/** Opaque result of {@link compileWorkloadPolicy}; safe to share between requests. */
export interface CompiledWorkloadPolicy {
  readonly mesh: MeshSpec;
  readonly workload: PolicyTarget;
  readonly peer: readonly PeerAuthentication[];
  readonly http: ProtocolPolicy;
  readonly tcp: ProtocolPolicy;
  /** What is said when no rule decides. */
  readonly otherwise: Decision;
  /** Set when CUSTOM policies cannot be asked and so every request is denied. */
  readonly refusal: Decision | null;
  readonly facts: Facts;
}

const VERDICT = { policy: null, rule: null, provider: null, shadow: [] } as const;

/**
 * Selects and compiles what applies to one workload: policies of its namespace and of the root namespace whose
 * selector matches its labels (Istio: scope is additive, without precedence).
 */
export function compileWorkloadPolicy(input: WorkloadPolicyInput): CompiledWorkloadPolicy {
  const { mesh, workload } = input;
  const policies = input.authorizationPolicies.filter((policy) => attaches(policy, input));
  const enforced = policies.filter((policy) => !isShadow(policy));
  const unusable = customRefusal(enforced, mesh);
  const istio = mesh.compatibility === 'istio';
  return {
    mesh,
    workload,
    peer: input.peerAuthentications.filter((policy) => peerApplies(policy, input)),
    http: protocolPolicy(policies, { mesh, protocol: 'http', unusable }),
    tcp: protocolPolicy(istio && unusable === null ? policies.filter((policy) => !needsHttp(policy, mesh)) : policies, { mesh, protocol: 'tcp', unusable }),
    otherwise: otherwise(enforced),
    // Istio denies just what the rules of such policies match (`getBadCustomDenyRules`); we deny everything.
    refusal: istio ? null : unusable,
    facts: new Facts(),
  };
}

type Attached = AuthorizationPolicy | RequestAuthentication;

/** Whether a policy bears on the workload, by its namespace and what it is attached to. */
export function attaches(policy: Attached, { mesh, workload }: Pick<WorkloadPolicyInput, 'mesh' | 'workload'>): boolean {
  const { namespace } = policy.metadata;
  const { targetRefs, selector } = policy.spec;
  if (targetRefs !== undefined) {
    // Istio's sidecars take no policy with targetRefs: those are for waypoints and gateways.
    if (mesh.compatibility === 'istio') return false;
    return targetRefs.some((ref) => ref.kind === 'Service' && (ref.namespace ?? namespace) === workload.namespace && namespace === workload.namespace && (workload.services ?? []).includes(ref.name));
  }
  return (namespace === workload.namespace || namespace === mesh.rootNamespace) && selects(selector?.matchLabels, workload.labels);
}

/** Istio: a selector in the root namespace is ignored for PeerAuthentication, so such an object applies to nothing. */
function peerApplies(policy: PeerAuthentication, { mesh, workload }: WorkloadPolicyInput): boolean {
  const labels = policy.spec.selector?.matchLabels;
  const own = policy.metadata.namespace === workload.namespace;
  if (policy.metadata.namespace === mesh.rootNamespace) return Object.keys(labels ?? {}).length === 0;
  return own && selects(labels, workload.labels);
}

function isShadow({ spec }: AuthorizationPolicy): boolean {
  return spec.enforcement === 'DryRun' || spec.action === 'AUDIT';
}

/** `namespace/name`. */
export function policyId(policy: { readonly metadata: { readonly namespace?: string | undefined; readonly name: string } }): string {
  return `${policy.metadata.namespace ?? ''}/${policy.metadata.name}`;
}

/** Istio "ignored CUSTOM action with HTTP provider on TCP filter chain". */
function needsHttp({ spec }: AuthorizationPolicy, mesh: MeshSpec): boolean {
  return spec.action === 'CUSTOM' && mesh.extensionProviders?.find(({ name }) => name === spec.provider?.name)?.envoyExtAuthzHttp !== undefined;
}

interface ProtocolContext {
  readonly mesh: MeshSpec;
  readonly protocol: PolicyRequest['protocol'];
  /** What is said instead of asking, when no authorizer can be asked. */
  readonly unusable: Decision | null;
}

function protocolPolicy(policies: readonly AuthorizationPolicy[], { mesh, protocol, unusable }: ProtocolContext): ProtocolPolicy {
  const table = (action: RuleSite['action'], decide: (site: RuleSite) => Decision): TableWithSites => {
    const { rules, sites } = indexed(policies.filter((policy) => !isShadow(policy) && policy.spec.action === action), mesh, protocol);
    return { table: new RuleTable(rules), decisions: sites.map(decide) };
  };
  return {
    deny: table('DENY', (site) => ({ ...VERDICT, ...place(site), effect: 'DENY', status: 403, reason: 'policy-deny', explanation: `rule ${site.rule} of DENY policy ${site.policy} matches` })),
    custom: table('CUSTOM', (site) => unusable ? { ...unusable, ...place(site) } : { ...VERDICT, ...place(site), effect: 'ASK', status: 403, reason: null, provider: site.provider, explanation: `rule ${site.rule} of CUSTOM policy ${site.policy} asks ${site.provider ?? ''}` }),
    allow: table('ALLOW', (site) => ({ ...VERDICT, ...place(site), effect: 'ALLOW', status: 200, reason: null, explanation: `rule ${site.rule} of ALLOW policy ${site.policy} matches` })),
    shadow: policies.filter(isShadow).map((policy) => {
      const { rules, sites } = indexed([policy], mesh, protocol);
      return { table: new RuleTable(rules), sites };
    }),
  };
}

function place(site: RuleSite): Pick<Decision, 'policy' | 'rule'> {
  return { policy: site.policy, rule: site.rule };
}

function indexed(policies: readonly AuthorizationPolicy[], mesh: MeshSpec, protocol: PolicyRequest['protocol']): { rules: IndexedRule[]; sites: RuleSite[] } {
  const rules: IndexedRule[] = [];
  const sites: RuleSite[] = [];
  for (const policy of policies) {
    const { action, provider } = policy.spec;
    const context: RuleContext = { mesh, namespace: policy.metadata.namespace ?? '', action, protocol };
    (policy.spec.rules ?? []).forEach((rule: AuthorizationRule, index) => {
      const test = compileRule(rule, context);
      if (test !== null) rules.push({ ordinal: sites.length, test, ...ruleKeys(rule, context) });
      sites.push({ policy: policyId(policy), action, rule: index, provider: provider?.name ?? null });
    });
  }
  return { rules, sites };
}

/** Istio, "implicit enablement": without an ALLOW policy everything is allowed, with one only what matches. */
function otherwise(enforced: readonly AuthorizationPolicy[]): Decision {
  const allows = enforced.filter((policy) => policy.spec.action === 'ALLOW').map(policyId);
  if (allows.length === 0) return { ...VERDICT, effect: 'ALLOW', status: 200, reason: null, explanation: 'no ALLOW policy selects this workload' };
  // With one policy it is clear which one is to be edited; with several no single one decided.
  const policy = allows.length === 1 ? (allows[0] ?? null) : null;
  return { ...VERDICT, effect: 'DENY', status: 403, reason: 'policy-no-allow', policy, explanation: `no rule of ALLOW ${allows.join(', ')} matches` };
}

/** Istio: a workload may have one CUSTOM provider; with one that is missing or ambiguous nobody can be asked. */
function customRefusal(enforced: readonly AuthorizationPolicy[], mesh: MeshSpec): Decision | null {
  const customs = enforced.filter((policy) => policy.spec.action === 'CUSTOM');
  const names = [...new Set(customs.map((policy) => policy.spec.provider?.name ?? ''))];
  const [first] = names;
  if (first === undefined) return null;
  const refuse = (explanation: string): Decision => ({ ...VERDICT, effect: 'DENY', status: 403, reason: 'authorizer-unavailable', policy: customs[0] ? policyId(customs[0]) : null, explanation });
  if (names.length > 1) return refuse(`CUSTOM policies name several providers (${names.join(', ')}); a workload can have one`);
  const exists = mesh.extensionProviders?.some((provider) => provider.name === first);
  return exists ? null : refuse(`CUSTOM policy ${customs.map(policyId).join(', ')} names provider ${first}, which the Mesh does not have`);
}
