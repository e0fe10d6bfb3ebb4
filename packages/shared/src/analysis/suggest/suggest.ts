import { canonicalJson, type Flow, type MeshService, type MeshWorkload, selects } from '../../mesh/index.ts';
import { attaches, policyId } from '../../policy/index.ts';
import { API_VERSION, type AuthorizationPolicy, type AuthorizationPolicySpec } from '../../resources/index.ts';
import { stringify } from 'yaml';
import { diff } from '../diff/diff.ts';
import { compileFor, judgeCall, type PolicySet, policyTarget, type Universe } from '../model.ts';
import { flowRequest, overlay, replay, wasDecided } from '../replay.ts';
import { type AllowedCall, allowRules, pathPattern } from './rules.ts';

export interface SuggestInput {
  readonly policies: PolicySet;
  readonly universe: Universe;
  /** What was recorded in the window. */
  readonly flows: readonly Flow[];
  /** Only workloads of this namespace. */
  readonly namespace?: string | undefined;
  /** Also admit what the present policies deny. */
  readonly admitDenied?: boolean;
  /** Admit callers without identity by their address; else they are listed in `cutOff`. */
  readonly admitPlaintext?: boolean;
}

/** What a rule rests on. */
export interface Evidence {
  readonly policy: string;
  readonly principal: string | null;
  readonly ip: string;
  readonly port: number;
  readonly method: string | null;
  readonly path: string | null;
  readonly samplePath: string | null;
  readonly requests: number;
}

/** A caller that gets through now and would not any more. */
export interface CutOff {
  readonly workload: string;
  readonly principal: string | null;
  readonly ip: string;
  readonly port: number;
  readonly method: string | null;
  readonly path: string | null;
  readonly requests: number;
  readonly remedy: string;
}

export interface SuggestWarning {
  readonly code: 'denied-now' | 'inexpressible-path' | 'would-widen' | 'not-selectable' | 'also-allows' | 'no-calls' | 'plaintext-only';
  readonly subject: string;
  readonly message: string;
  readonly remedy: string;
}

export interface Suggestion {
  readonly policies: readonly AuthorizationPolicy[];
  /** The policies as YAML documents, to be reviewed and applied. */
  readonly patch: string;
  readonly evidence: readonly Evidence[];
  readonly cutOff: readonly CutOff[];
  readonly warnings: readonly SuggestWarning[];
}

/** Workloads with the same labels: no selector tells them apart. */
interface Group {
  readonly namespace: string;
  readonly name: string;
  readonly workloads: readonly MeshWorkload[];
  readonly scope: Pick<AuthorizationPolicySpec, 'selector' | 'targetRefs'>;
}

/**
 * Least-privilege ALLOW policies from what was recorded: for each workload exactly the identities, ports, methods and
 * paths that were seen and that the present policies allow. Never wider than what is allowed now; who would be cut off is
 * listed, never dropped in silence.
 */
export function suggest(input: SuggestInput): Suggestion {
  const warnings: SuggestWarning[] = [];
  const made: { policy: AuthorizationPolicy; flows: readonly Flow[]; calls: readonly AllowedCall[] }[] = [];
  for (const group of groupsOf(input, warnings)) {
    const flows = admittedFlows(group, input, warnings);
    const found = flows.length === 0 ? null : policyFor(group, flows, input, warnings);
    if (found) made.push({ ...found, flows });
  }
  const policies = made.map(({ policy }) => policy);
  warnings.push(...alsoAllowing(policies, input));
  return {
    policies,
    patch: policies.map((policy) => stringify(policy, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n'),
    evidence: made.flatMap(({ policy, flows }) => flows.map((flow) => evidenceOf(policy, flow))),
    cutOff: cutOffBy(policies, input),
    warnings,
  };
}

function groupsOf({ universe, namespace, policies, flows }: SuggestInput, warnings: SuggestWarning[]): Group[] {
  const called = new Set(flows.filter(wasDecided).map(({ destination }) => `${destination.namespace}/${destination.workload ?? ''}`));
  const wanted = universe.workloads.filter((workload) => workload.proxy !== null && (namespace === undefined || workload.namespace === namespace));
  const byLabels = Map.groupBy(wanted, (workload) => `${workload.namespace} ${canonicalJson(workload.labels)}`);
  return [...byLabels.values()].flatMap((workloads) => {
    const [first] = workloads;
    if (!first) return [];
    const subject = workloads.map(idOf).join(', ');
    if (!workloads.some((workload) => called.has(idOf(workload)))) {
      warnings.push({ code: 'no-calls', subject, message: `no call to ${subject} was recorded, so nothing is suggested`, remedy: 'look at a longer window, or write a policy without rules if nobody may call' });
      return [];
    }
    const scope = scopeOf(first, workloads, universe, policies);
    if (scope === null) {
      warnings.push({ code: 'not-selectable', subject, message: `the labels of ${subject} also select other workloads, which would be opened to its callers`, remedy: 'give it a label of its own' });
      return [];
    }
    return [{ namespace: first.namespace, name: first.labels['app'] ?? first.name, workloads, scope }];
  });
}

/** What selects these workloads and no other: their labels, or a service that leads to just them. */
function scopeOf(first: MeshWorkload, workloads: readonly MeshWorkload[], universe: Universe, { mesh }: PolicySet): Group['scope'] | null {
  const others = universe.workloads.filter((workload) => workload.namespace === first.namespace && !workloads.includes(workload));
  if (!others.some((workload) => selects(first.labels, workload.labels)) && first.namespace !== mesh.rootNamespace) {
    return Object.keys(first.labels).length > 0 ? { selector: { matchLabels: { ...first.labels } } } : {};
  }
  const service = mesh.compatibility === 'istio' ? undefined : universe.services.find((each) => leadsToJust(each, first.namespace, workloads));
  return service ? { targetRefs: [{ group: 'sallyport.dev', kind: 'Service', name: service.name }] } : null;
}

function leadsToJust(service: MeshService, namespace: string, workloads: readonly MeshWorkload[]): boolean {
  return service.namespace === namespace && service.workloads.length === workloads.length && workloads.every((workload) => service.workloads.includes(workload.name));
}

/** Recorded calls that may be let in: allowed when they were made, and allowed by the policies of now. */
function admittedFlows(group: Group, { flows, policies, universe, admitDenied = false, admitPlaintext = false }: SuggestInput, warnings: SuggestWarning[]): Flow[] {
  return group.workloads.flatMap((workload) => {
    const compiled = compileFor(policies, workload, universe.services);
    const own = flows.filter((flow) => wasDecided(flow) && `${flow.destination.namespace}/${flow.destination.workload ?? ''}` === idOf(workload));
    const denied = own.filter((flow) => flow.verdict === 'denied' || judgeCall(compiled, flowRequest(flow, workload)).effect === 'DENY');
    if (denied.length > 0 && !admitDenied) warnings.push(deniedWarning(idOf(workload), denied));
    const plain = own.filter((flow) => flow.source.principal === null && !denied.includes(flow));
    if (plain.length > 0 && plain.length + denied.length === own.length && !admitPlaintext) warnings.push(plaintextWarning(idOf(workload), plain));
    const kept = own.filter((flow) => (admitDenied || !denied.includes(flow)) && (flow.source.principal !== null || admitPlaintext));
    const odd = kept.filter((flow) => flow.path !== null && pathPattern(flow.path) === null);
    for (const flow of odd) warnings.push({ code: 'inexpressible-path', subject: idOf(workload), message: `no pattern matches the path ${flow.path ?? ''} and nothing else, so it is left out`, remedy: 'allow it by hand with a wider pattern, if it is meant' });
    return kept.filter((flow) => !odd.includes(flow));
  });
}

function plaintextWarning(subject: string, plain: readonly Flow[]): SuggestWarning {
  const addresses = [...new Set(plain.map((flow) => flow.source.ip))];
  return { code: 'plaintext-only', subject, message: `only callers without identity were seen at ${subject} (${addresses.slice(0, 5).join(', ')}${addresses.length > 5 ? ', …' : ''}), so nothing is suggested for it`, remedy: 'enroll them first, or admit their addresses knowingly with --admit-plaintext' };
}

function deniedWarning(subject: string, denied: readonly Flow[]): SuggestWarning {
  const count = denied.reduce((sum, flow) => sum + flow.count, 0);
  return { code: 'denied-now', subject, message: `${count} recorded calls to ${subject} were denied, or would be denied by the policies of now; they are not admitted`, remedy: 'see them with `sallyport denies`; ask for them with --admit-denied if they are wanted' };
}

/** With templates if that admits nothing that is denied now, else with the very paths that were seen, else not at all. */
function policyFor(group: Group, flows: readonly Flow[], input: SuggestInput, warnings: SuggestWarning[]): { policy: AuthorizationPolicy; calls: readonly AllowedCall[] } | null {
  for (const exact of [false, true]) {
    const calls = flows.map((flow) => callOf(flow, exact));
    const policy = policyOf(group, calls, input.policies);
    if (input.admitDenied === true || !widens(policy, group, input)) return { policy, calls };
  }
  warnings.push({ code: 'would-widen', subject: policyId({ metadata: group }), message: 'the present policies ask for more than flows record (hosts, headers, tokens or addresses), so any policy from flows would open what they close', remedy: 'tighten the present policies by hand' });
  return null;
}

function callOf({ source, destination, protocol, method, path, samplePath }: Flow, exact: boolean): AllowedCall {
  return { principal: source.principal, ip: source.ip, port: destination.port, protocol, method, path: exact ? (samplePath ?? path) : path };
}

function policyOf({ namespace, name, scope }: Group, calls: readonly AllowedCall[], { authorizationPolicies }: PolicySet): AuthorizationPolicy {
  const taken = new Set(authorizationPolicies.map(policyId));
  const base = `observed-${name}`.toLowerCase().replace(/[^a-z0-9-]/g, '-').slice(0, 58).replace(/-+$/, '');
  let chosen = base;
  for (let number = 2; taken.has(`${namespace}/${chosen}`); number += 1) chosen = `${base}-${number}`;
  const rules = allowRules(calls);
  return { apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name: chosen, namespace }, spec: { ...scope, action: 'ALLOW', ...(rules.length > 0 ? { rules } : {}), enforcement: 'Enforce' } };
}

/**
 * Whether anything that is denied now would be let in: proven by comparison, not by samples. Without an ALLOW policy what
 * is denied is denied by others, which a new ALLOW policy leaves as they are.
 */
function widens(policy: AuthorizationPolicy, group: Group, { policies, universe }: SuggestInput): boolean {
  const narrowed = group.workloads.some((workload) => {
    const target = policyTarget(workload, universe.services);
    return policies.authorizationPolicies.some((each) => each.spec.action === 'ALLOW' && each.spec.enforcement === 'Enforce' && attaches(each, { mesh: policies.mesh, workload: target }));
  });
  return narrowed && !diff(policies, overlay(policies, [policy]), { ...universe, workloads: group.workloads }, { limit: 1 }).equal;
}

function evidenceOf(policy: AuthorizationPolicy, { source, destination, method, path, samplePath, count }: Flow): Evidence {
  return { policy: policyId(policy), principal: source.principal, ip: source.ip, port: destination.port, method, path, samplePath, requests: count };
}

/** Who gets through now and would not with the policies added. */
function cutOffBy(proposed: readonly AuthorizationPolicy[], { policies, universe, flows }: SuggestInput): CutOff[] {
  const byAddress = new Map(universe.workloads.map((workload) => [workload.address, workload]));
  return replay(flows, policies, overlay(policies, proposed), universe).wouldDeny.map(({ flow }) => {
    const known = byAddress.get(flow.source.ip);
    const enroll = known ? `enroll it first: sallyport workload enroll ${idOf(known)}` : `find the workload at ${flow.source.ip} and enroll it`;
    return {
      workload: `${flow.destination.namespace}/${flow.destination.workload ?? ''}`,
      principal: flow.source.principal, ip: flow.source.ip, port: flow.destination.port, method: flow.method, path: flow.path, requests: flow.count,
      remedy: flow.source.principal === null ? `${enroll}; or admit its address knowingly with --admit-plaintext` : 'see the warnings; allow it by hand if it is wanted',
    };
  });
}

/** ALLOW policies add up: an older, wider one beside a new one leaves everything open that it opened. */
function alsoAllowing(proposed: readonly AuthorizationPolicy[], { policies, universe }: SuggestInput): SuggestWarning[] {
  const bearsOn = (workload: MeshWorkload) => (policy: AuthorizationPolicy) => attaches(policy, { mesh: policies.mesh, workload: policyTarget(workload, universe.services) });
  const present = policies.authorizationPolicies.filter(({ spec }) => spec.action === 'ALLOW' && spec.enforcement === 'Enforce');
  return proposed.flatMap((policy) => {
    const targets = universe.workloads.filter((workload) => bearsOn(workload)(policy));
    const allows = present.filter((each) => targets.some((workload) => bearsOn(workload)(each)));
    if (allows.length === 0) return [];
    return [{ code: 'also-allows', subject: policyId(policy), message: `${allows.map(policyId).join(', ')} also allow; ALLOW policies add up, so nothing is tightened while they stay`, remedy: 'compare with `sallyport policy diff`, then delete what the new policy replaces' } as const];
  });
}

function idOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
