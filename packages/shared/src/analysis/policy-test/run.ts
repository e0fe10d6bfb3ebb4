import { authenticate, compileAuthentication, compileWorkloadPolicy, type AuthenticationRule, type CompiledWorkloadPolicy, decide, type Decision, effectiveMtls, type EffectiveMtls, isPreflight, normalizePath, type PolicyRequest, type VerifiedToken } from '../../policy/index.ts';
import { formatProblem, problemsOf, readDocuments, type ResourceProblem } from '../../resources/index.ts';
import { servicesOf, type TestedResources, testedResources } from './resources.ts';
import { type Expectation, type PolicyTest, policyTest, type TestCase, type TestRequest } from './schema.ts';
import { presentedTokens } from './tokens.ts';

/** What the policies really said. */
export interface Actual {
  readonly decision: 'ALLOW' | 'DENY';
  readonly status: number;
  readonly mtlsMode: EffectiveMtls['mode'];
  /** Null for TCP and for a path that was refused. */
  readonly normalizedPath: string | null;
}

/** One case that was run. */
export interface CaseResult {
  readonly test: string;
  readonly case: string;
  readonly pass: boolean;
  readonly expected: Expectation;
  readonly actual: Actual;
  /** Which rule decided and why. */
  readonly reason: string;
}

/** All cases of a file, and what is wrong with the file itself. */
export interface FileResult {
  readonly cases: readonly CaseResult[];
  readonly problems: readonly ResourceProblem[];
}

/** A file of policy tests may be this large. */
export const MAX_TEST_BYTES = 32 * 1024 * 1024;

/**
 * Runs every `PolicyTest` document of a text. A document whose resources would be refused by the store is a problem of
 * the file; its cases are run all the same and denied, because a policy that nobody could load must not let anything in.
 *
 * @throws InvalidResourceError when the text as a whole is too large
 */
export function runPolicyTests(text: string): FileResult {
  const { documents, problems } = readDocuments(text, MAX_TEST_BYTES);
  const cases: CaseResult[] = [];
  for (const { label, value } of documents) {
    const result = policyTest.safeParse(value);
    if (!result.success) {
      problems.push(...problemsOf(label, result.error));
      continue;
    }
    const resources = testedResources(result.data);
    problems.push(...resources.refusals.map((refusal) => ({ ...refusal, resource: `${label}, ${refusal.resource}` })));
    cases.push(...runTest(result.data, resources));
  }
  if (documents.length === 0 && problems.length === 0) problems.push({ resource: 'manifest', field: '', message: 'holds no PolicyTest' });
  return { cases, problems };
}

interface Target {
  readonly policy: CompiledWorkloadPolicy;
  readonly authentication: readonly AuthenticationRule[];
}

function runTest(test: PolicyTest, resources: TestedResources): CaseResult[] {
  const targets = new Map<string, Target>();
  const targetOf = ({ namespace, labels, services }: TestRequest['destination']): Target => {
    const key = JSON.stringify([namespace, labels, services]);
    const known = targets.get(key);
    if (known) return known;
    const workload = { namespace, labels, services: [...services, ...servicesOf(resources.services, namespace, labels)] };
    const input = { ...resources, workload };
    const target = { policy: compileWorkloadPolicy(input), authentication: compileAuthentication(input) };
    targets.set(key, target);
    return target;
  };
  return test.spec.cases.map((each) => runCase(test.metadata.name, each, targetOf(each.request.destination), resources.refusals));
}

interface Judged {
  readonly effect: 'ALLOW' | 'DENY';
  readonly status: number;
  readonly reason: string;
  readonly path: string | null;
}

function runCase(test: string, { name, request, expect }: TestCase, target: Target, refusals: readonly ResourceProblem[]): CaseResult {
  const mtls = effectiveMtls(target.policy, request.destination.port);
  const judged = judge(request, target, mtls);
  const refusal = refusals[0];
  const verdict = refusal === undefined ? judged : { ...judged, effect: 'DENY' as const, status: 403, reason: `a resource would be refused, so nothing is allowed: ${formatProblem(refusal)}` };
  // An expectation that names a query is about what is forwarded, path and query; a policy matches the path alone.
  const query = expect.normalizedPath?.includes('?') ? queryOf(request.http.path) : '';
  const actual: Actual = { decision: verdict.effect, status: verdict.status, mtlsMode: mtls.mode, normalizedPath: verdict.path === null ? null : `${verdict.path}${query}` };
  const wrong = (Object.keys(expect) as (keyof Expectation)[]).filter((key) => expect[key] !== actual[key]);
  return { test, case: name, pass: wrong.length === 0, expected: expect, actual, reason: wrong.some((key) => key === 'mtlsMode') ? `${verdict.reason}; ${explainMode(mtls)}` : verdict.reason };
}

function queryOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? '' : target.slice(mark);
}

function explainMode({ mode, policy, scope }: EffectiveMtls): string {
  return policy === null ? `the mTLS mode is ${mode} by default` : `the mTLS mode is ${mode} by ${scope} policy ${policy}`;
}

/** The receiving proxy's order: handshake, normal form of the path, tokens, policies. */
function judge(request: TestRequest, { policy, authentication }: Target, mtls: EffectiveMtls): Judged {
  const tcp = request.protocol === 'tcp';
  const normal = tcp ? null : normalizePath(request.http.path, policy.mesh);
  const path = normal?.ok ? normal.path : null;
  // On a port without mTLS nobody shows a certificate, whatever they hold.
  const principal = mtls.mode === 'DISABLE' ? null : request.source.principal;
  if (mtls.mode === 'STRICT' && principal === null) {
    return { effect: 'DENY', status: 403, reason: `port ${request.destination.port} is STRICT (${explainMode(mtls)}) and the peer speaks plaintext`, path };
  }
  if (normal !== null && !normal.ok) return { effect: 'DENY', status: 400, reason: normal.problem, path: null };
  const base: PolicyRequest = {
    protocol: 'tcp',
    source: { principal, ip: request.source.ip, ...(request.source.remoteIp === undefined ? {} : { remoteIp: request.source.remoteIp }) },
    destination: { ip: request.destination.ip, port: request.destination.port },
    ...(request.connection.sni === undefined ? {} : { sni: request.connection.sni }),
  };
  if (normal === null) return conclude(decide(policy, base), request, null);
  const http = { method: request.http.method ?? (request.protocol === 'grpc' ? 'POST' : 'GET'), host: request.http.host, headers: parsed(request.http.headers), path: normal.path };
  const tokens = verifyTokens(request, http, authentication, policy);
  if ('reason' in tokens) return { ...tokens, path };
  return conclude(decide(policy, { ...base, protocol: 'http', http, token: tokens.token }), request, path);
}

function verifyTokens(request: TestRequest, http: NonNullable<PolicyRequest['http']>, rules: readonly AuthenticationRule[], { mesh }: CompiledWorkloadPolicy): { readonly token: VerifiedToken | null } | Omit<Judged, 'path'> {
  if (isPreflight(http.method, http.headers)) return { token: null };
  const result = authenticate(rules, presentedTokens(rules, request.jwts), mesh.compatibility);
  return result.ok ? { token: result.token } : { effect: 'DENY', status: result.status, reason: result.explanation };
}

/** A question to an external authorizer is answered by the test; without an answer it denies. */
function conclude({ effect, status, explanation, provider }: Decision, { authorizers }: TestRequest, path: string | null): Judged {
  if (effect !== 'ASK') return { effect, status, reason: explanation, path };
  const answer = authorizers[provider ?? ''];
  if (answer === 'allow') return { effect: 'ALLOW', status: 200, reason: `${explanation}, which allows`, path };
  return { effect: 'DENY', status: 403, reason: `${explanation}, which ${answer === 'deny' ? 'denies' : 'does not answer'}`, path };
}

/**
 * Headers as a parser hands them on: names in lower case, values of the same name side by side, without the blanks around
 * them, which are no part of a value (RFC 9110 §5.5; CVE-2019-18802).
 */
function parsed(headers: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  const out: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(headers)) out[name.toLowerCase()] = [...(out[name.toLowerCase()] ?? []), ...values.map((value) => value.replace(/^[ \t]+/, '').replace(/[ \t]+$/, ''))];
  return out;
}
