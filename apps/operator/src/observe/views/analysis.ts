import { blastRadius, diff, type ConsideredPolicy, explain, type ExplainedClause, type ExplainedRule, lint, overlay, overPermission, type PolicySet, reach, type Universe, type VerdictChange, type Way } from '@sallyport/shared/analysis';
import type { BlastView, CallView, DiffView, ExplainRequest, ExplainView, LintView, ReachView, UnusedView, WayView } from '@sallyport/shared/api';
import type { Flow, MeshWorkload } from '@sallyport/shared/mesh';
import type { RawRequest } from '@sallyport/shared/policy';
import type { Resource } from '@sallyport/shared/resources';
import { CallProblem, destinationOf, headersOf, identityOf, SPACE_DELIMITED } from '../call.ts';

/** What an analysis is about: plain data, so that it can be handed to another thread. */
export interface AnalysisMaterial {
  readonly policies: PolicySet;
  readonly universe: Universe;
}

/** Most entries of a list in an answer; the answer says how many there are. */
const MOST = 500;
const MOST_FINDINGS = 1000;
const MOST_CHANGES = 50;
const MOST_RULES = 100;
const MOST_VALUES = 20;
/** Policies that do not bear on the workload are only there to say why. */
const MOST_BYSTANDERS = 50;

/** The analyses of the API by name. Each is pure; the work of all of them together is bounded by whoever runs them. */
export const ANALYSES = { lint: lintOf, explain: explainOf, reach: reachOf, blast: blastOf, unused: unusedOf, diff: diffOf } as const;

function analysedOf({ policies, universe }: AnalysisMaterial): LintView['analysed'] {
  return { policies: policies.authorizationPolicies.length, workloads: universe.workloads.length };
}

function lintOf(material: AnalysisMaterial, _input: null): LintView {
  const findings = lint(material.policies, material.universe);
  const counted = (severity: string) => findings.filter((each) => each.severity === severity).length;
  return { analysed: analysedOf(material), counts: { error: counted('error'), warn: counted('warn'), info: counted('info') }, findings: findings.slice(0, MOST_FINDINGS) };
}

function explainOf({ policies, universe }: AnalysisMaterial, asked: ExplainRequest): ExplainView {
  const { workload, request } = requestOf(asked, policies, universe);
  const result = explain({ policies, workload, services: universe.services }, request);
  const applying = result.policies.filter((each) => each.applies);
  const others = result.policies.filter((each) => !each.applies);
  const listed = [...applying, ...others.slice(0, MOST_BYSTANDERS)];
  const { effect, status, reason, policy, rule, provider, explanation } = result.verdict;
  return {
    call: callOf(request, workload),
    verdict: { effect, status, reason, policy, rule, provider, explanation },
    mtls: { mode: result.mtls.mode, policy: result.mtls.policy, scope: result.mtls.scope, refused: result.mtls.refused },
    matchedPath: result.path,
    decidedBy: result.decidedBy && { ...result.decidedBy, fields: [...result.decidedBy.fields] },
    policies: listed.map((each) => consideredOf(each)),
    omitted: result.policies.length - listed.length,
  };
}

/** The call that was asked about, with the destination's own address, port and protocol where none was given. */
function requestOf(asked: ExplainRequest, policies: PolicySet, universe: Universe): { workload: MeshWorkload; request: RawRequest } {
  const { workload, port, protocol } = destinationOf(asked.to, asked.port, universe);
  const { principal, ip } = identityOf(asked.from, universe, policies.mesh.trustDomain);
  const base = {
    source: { principal, ip: asked.ip ?? ip ?? '10.0.0.1', ...(asked.remoteIp === undefined ? {} : { remoteIp: asked.remoteIp }) },
    destination: { ip: workload.address, port },
    ...(asked.sni === undefined ? {} : { sni: asked.sni }),
  };
  if ((asked.protocol ?? protocol) === 'tcp') return { workload, request: { protocol: 'tcp', ...base } };
  const token = asked.claims === undefined ? null : { claims: asked.claims, spaceDelimited: SPACE_DELIMITED };
  const http = { method: asked.method ?? 'GET', host: asked.host ?? `${workload.name}.${workload.namespace}`, target: asked.path ?? '/', headers: headersOf(asked.headers ?? []) };
  return { workload, request: { protocol: 'http', ...base, http, token } };
}

function callOf({ protocol, source, destination, http, sni, token }: RawRequest, { namespace, name }: Pick<MeshWorkload, 'namespace' | 'name'>): CallView {
  return {
    principal: source.principal,
    ip: source.ip,
    remoteIp: source.remoteIp ?? null,
    workload: `${namespace}/${name}`,
    port: destination.port,
    protocol,
    method: http?.method ?? null,
    path: http?.target ?? null,
    host: http?.host ?? null,
    headers: Object.entries(http?.headers ?? {}).flatMap(([header, values]) => values.map((value) => ({ name: header, value }))),
    sni: sni ?? null,
    claims: token ? JSON.stringify(token.claims) : null,
  };
}

function consideredOf({ policy, action, enforcement, applies, why, matched, rules }: ConsideredPolicy): ExplainView['policies'][number] {
  const listed = rules.filter((rule, index) => rule.matched || index < MOST_RULES).slice(0, 2 * MOST_RULES);
  return { policy, action, enforcement, applies, why, matched, rules: listed.map(ruleOf), rulesOmitted: rules.length - listed.length };
}

function ruleOf({ index, matched, neverOnTcp, decidedBy, clauses }: ExplainedRule): ExplainView['policies'][number]['rules'][number] {
  return { index, matched, neverOnTcp, decidedBy: [...decidedBy], clauses: clauses.map(clauseOf) };
}

function clauseOf({ field, values, seen, matched, ignored }: ExplainedClause) {
  return { field, values: values.slice(0, MOST_VALUES), more: Math.max(0, values.length - MOST_VALUES), seen, matched, ignored };
}

function reachOf(material: AnalysisMaterial, { to, port }: { readonly to: string; readonly port: number | null }): ReachView {
  const { policies, universe } = material;
  const { workload } = destinationOf(to, undefined, universe);
  const [result] = reach(policies, universe, [workload]);
  const by = (result?.by ?? []).map(({ kind, principal, label, workloads, ways }) => ({ kind, principal, label, workloads: workloads.slice(0, MOST), ways: waysOf(ways, workload, port) })).filter(({ ways }) => ways.length > 0);
  return { analysed: analysedOf(material), workload: `${workload.namespace}/${workload.name}`, meshed: workload.proxy !== null, complete: result?.complete ?? false, total: by.length, by: by.slice(0, MOST) };
}

function waysOf(ways: readonly Way[], workload: Pick<MeshWorkload, 'namespace' | 'name'>, port: number | null): WayView[] {
  return ways.filter((way) => port === null || way.port === port).map(({ witness, ...way }) => ({ ...way, witness: callOf(witness, workload) }));
}

function blastOf(material: AnalysisMaterial, { from }: { readonly from: string }): BlastView {
  const { policies, universe } = material;
  const { principal } = identityOf(from, universe, policies.mesh.trustDomain);
  const { start, hops, reached, complete } = blastRadius(policies, universe, principal);
  const shown = hops.slice(0, MOST).map(({ workload, ways, hop, identity, from: via, as }) => {
    const [namespace = '', name = ''] = workload.split('/');
    return { hop, workload, identity, from: via, as, ways: waysOf(ways, { namespace, name }, null) };
  });
  return { analysed: analysedOf(material), start, principal, complete, reached, hops: shown };
}

/** Without window and coverage, which whoever read the flows knows. */
function unusedOf(material: AnalysisMaterial, { flows }: { readonly flows: readonly Flow[] }): Pick<UnusedView, 'analysed' | 'totals' | 'identities' | 'rules'> {
  const { unusedIdentities, unusedRules } = overPermission(material.policies, material.universe, flows);
  return { analysed: analysedOf(material), totals: { identities: unusedIdentities.length, rules: unusedRules.length }, identities: unusedIdentities.slice(0, MOST), rules: unusedRules.slice(0, MOST) };
}

function diffOf({ policies, universe }: AnalysisMaterial, { proposed }: { readonly proposed: readonly Resource[] }): DiffView {
  const result = diff(policies, overlay(policies, proposed), universe, { limit: MOST_CHANGES });
  const others = [...new Set(proposed.map(({ kind }) => kind).filter((kind) => kind === 'Workload' || kind === 'Service'))];
  const notes = others.map((kind) => `${kind} objects of the proposal are not compared: calls are taken to go to what is stored`);
  return {
    equal: result.equal && others.length === 0, complete: result.complete && others.length === 0, workloads: result.workloads, modelled: [...result.modelled], notes: [...result.notes, ...notes], more: result.more,
    changes: result.changes.map(changeOf),
  };
}

function changeOf({ workloads, ports, protocol, before, after, where, witness }: VerdictChange): DiffView['changes'][number] {
  const [namespace = '', name = ''] = witness.workload.split('/');
  return {
    workloads: workloads.slice(0, MOST), ports: [...ports], protocol, before, after,
    where: where.map((part) => ({ ...part, values: [...part.values] })),
    witness: { call: callOf(witness.request, { namespace, name }), before: witness.before.explanation, after: witness.after.explanation },
  };
}

/** True for what the asker can mend by naming something else. */
export function problemOf(error: unknown): { message: string; remedy: string | null } | null {
  return error instanceof CallProblem ? { message: error.message, remedy: error.remedy } : null;
}
