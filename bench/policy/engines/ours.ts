import { compileWorkloadPolicy, type CompiledWorkloadPolicy, decide, decideTarget, normalizePath, type PolicyRequest, type RawRequest } from '@sallyport/shared/policy';
import { API_VERSION, authorizationPolicy, type AuthorizationPolicy, mesh as meshSchema } from '@sallyport/shared/resources';
import type { Ask, Rule } from '../cases.ts';
import { at, type Engine, timed } from './engine.ts';

/** Our default: paths decoded and slashes merged, verdicts stricter than Istio's. */
const MESH = meshSchema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'cluster.local' } }).spec;
/** A policy holds at most 512 rules, so thousands come in several policies. */
const RULES_PER_POLICY = 100;

type PolicyRule = NonNullable<AuthorizationPolicy['spec']['rules']>[number];

/** One policy rule for each of the bench's rules. */
function policyRule({ principal, method, path }: Rule): PolicyRule {
  return { from: [{ source: { principals: [principal] } }], to: [{ operation: { methods: [method], paths: [path] } }] };
}

/** Compiles rules as ALLOW policies of one workload. */
export function compilePolicyRules(rules: readonly PolicyRule[]): CompiledWorkloadPolicy {
  const authorizationPolicies: AuthorizationPolicy[] = [];
  for (let first = 0; first < rules.length; first += RULES_PER_POLICY) {
    authorizationPolicies.push(authorizationPolicy.parse({
      apiVersion: API_VERSION,
      kind: 'AuthorizationPolicy',
      metadata: { name: `rules-${first}`, namespace: 'payments' },
      spec: { rules: rules.slice(first, first + RULES_PER_POLICY) },
    }));
  }
  return compileWorkloadPolicy({ mesh: MESH, workload: { namespace: 'payments', labels: { app: 'payments' } }, authorizationPolicies, peerAuthentications: [] });
}

/** The request as the proxy has it before its path is normalised. */
function rawRequest({ principal, method, path }: Ask, headers: Readonly<Record<string, readonly string[]>> = {}): RawRequest {
  return {
    protocol: 'http',
    source: { principal: `spiffe://${principal}`, ip: '10.1.0.10' },
    destination: { ip: '10.1.0.20', port: 8080 },
    http: { method, host: 'payments.payments.svc:8080', target: path, headers },
  };
}

/** The request with its path in normal form. */
export function policyRequest(ask: Ask, headers?: Readonly<Record<string, readonly string[]>>): PolicyRequest {
  const { http, ...rest } = rawRequest(ask, headers);
  if (http === undefined) throw new Error('the bench asks by HTTP only');
  const { target, ...kept } = http;
  const normal = normalizePath(target, MESH);
  if (!normal.ok) throw new Error(normal.problem);
  return { ...rest, http: { ...kept, path: normal.path } };
}

/** Our evaluator, as the proxy asks it once the path is normal. Parsing by the schema is part of its compile time. */
export const ours: Engine = {
  name: 'sallyport',
  async load(rules, asks) {
    const { value: compiled, ms } = await timed(() => compilePolicyRules(rules.map(policyRule)));
    const requests = asks.map((ask) => policyRequest(ask));
    return { compileMs: ms, loaded: { decide: (index) => decide(compiled, at(requests, index)).effect === 'ALLOW' } };
  },
};

/** The same with the normalisation of the path in the time: what no peer does. */
export const oursWithPath: Engine = {
  name: 'sallyport+path',
  async load(rules, asks) {
    const { value: compiled, ms } = await timed(() => compilePolicyRules(rules.map(policyRule)));
    const requests = asks.map((ask) => rawRequest(ask));
    return { compileMs: ms, loaded: { decide: (index) => decideTarget(compiled, at(requests, index)).decision.effect === 'ALLOW' } };
  },
};
