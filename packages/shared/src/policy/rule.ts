import type { AuthorizationRule, MeshSpec, RuleCondition, RuleOperation, RuleSource } from '../resources/index.ts';
import type { Facts } from './facts.ts';
import { compileAccounts, compileNamespaces, type PeerMatch, principalPatterns, trustDomainPatterns } from './identity.ts';
import { compileIpBlocks } from './address.ts';
import { compilePaths, compileStrings, type StringMatch } from './match.ts';
import { claimValues, compileRequestPrincipals, readToken, type TokenReader } from './token.ts';
import type { PolicyAction, PolicyRequest } from './types.ts';

export type Predicate = (facts: Facts) => boolean;

/** What a rule's compilation depends on besides its own text. */
export interface RuleContext {
  readonly mesh: Pick<MeshSpec, 'trustDomain' | 'trustDomainAliases' | 'compatibility'>;
  /** Namespace of the policy: where a bare service account name belongs. */
  readonly namespace: string;
  readonly action: PolicyAction;
  readonly protocol: PolicyRequest['protocol'];
}

/** One field's test. `http` marks fields that only an HTTP request has. */
interface Clause {
  readonly test: Predicate;
  readonly http: boolean;
}

/** True when a match of the rule denies or may deny: dropping one of its conditions then makes it stricter. */
function restricts(action: PolicyAction): boolean {
  return action === 'DENY' || action === 'CUSTOM';
}

/**
 * Compiles one rule: `from` AND `to` AND every `when`; entries of a list are OR, fields inside one entry AND.
 * A rule without any of the three matches everything (Istio: `rules: [{}]`).
 *
 * @returns null when the rule never matches: Istio drops an ALLOW or AUDIT rule with an HTTP field on a TCP port, while
 *   a DENY or CUSTOM rule loses just those fields and so matches more. Both fail closed.
 */
export function compileRule(rule: AuthorizationRule, context: RuleContext): Predicate | null {
  const sources = rule.from?.map((entry) => sourceClauses(entry.source, context));
  const operations = rule.to?.map((entry) => operationClauses(entry.operation, context));
  const conditions = (rule.when ?? []).map((condition) => conditionClauses(condition, context));
  if (context.protocol === 'tcp' && !restricts(context.action) && [...(sources ?? []), ...(operations ?? []), ...conditions].flat().some((clause) => clause.http)) return null;
  const usable = (clauses: readonly Clause[]) => allOf(clauses.filter((clause) => context.protocol === 'http' || !clause.http).map((clause) => clause.test));
  const parts: Predicate[] = [];
  if (sources) parts.push(anyOf(sources.map(usable)));
  if (operations) parts.push(anyOf(operations.map(usable)));
  parts.push(...conditions.map(usable));
  return allOf(parts);
}

function allOf(tests: readonly Predicate[]): Predicate {
  const [first, second, third] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (third === undefined) return (facts) => first(facts) && second(facts);
  return (facts) => tests.every((test) => test(facts));
}

function anyOf(tests: readonly Predicate[]): Predicate {
  const [first, second] = tests;
  if (first !== undefined && second === undefined) return first;
  return (facts) => tests.some((test) => test(facts));
}

const not = (test: Predicate): Predicate => (facts) => !test(facts);

type Lists = readonly [positive: readonly string[] | undefined, negative: readonly string[] | undefined];

/** The tests of a positive and a negative list of one field. */
function pair([positive, negative]: Lists, compile: (values: readonly string[]) => Predicate): Predicate[] {
  return [...(positive ? [compile(positive)] : []), ...(negative ? [not(compile(negative))] : [])];
}

const read = (value: (facts: Facts) => string, match: StringMatch): Predicate => (facts) => match(value(facts));

/** Safer than Istio (D1): "not X" in a rule that allows never admits somebody without the identity that it speaks of. */
function known(tests: readonly Predicate[], context: RuleContext, present: Predicate): Predicate[] {
  return tests.length > 0 && context.mesh.compatibility !== 'istio' && !restricts(context.action) ? [present, ...tests] : [...tests];
}

const hasPeer: Predicate = (facts) => facts.peer.principal !== '';
const hasToken: Predicate = (facts) => facts.request.token !== undefined && facts.request.token !== null;

function sourceClauses(source: RuleSource, context: RuleContext): Clause[] {
  const field = sourceFields(context);
  const identity = [
    ...pair([source.principals, source.notPrincipals], field.principal),
    ...pair([source.namespaces, source.notNamespaces], field.namespace),
    ...pair([source.serviceAccounts, source.notServiceAccounts], field.serviceAccount),
    ...pair([source.trustDomains, source.notTrustDomains], field.trustDomain),
  ];
  const address = [...pair([source.ipBlocks, source.notIpBlocks], field.ip), ...pair([source.remoteIpBlocks, source.notRemoteIpBlocks], field.remoteIp)];
  const token = pair([source.requestPrincipals, source.notRequestPrincipals], principalTest);
  return [...clauses([...known(identity, context, hasPeer), ...address], false), ...clauses(known(token, context, hasToken), true)];
}

function clauses(tests: readonly Predicate[], http: boolean): Clause[] {
  return tests.map((test) => ({ test, http }));
}

/** The fields of a source, which are also keys of `when`. */
function sourceFields({ mesh, namespace }: RuleContext) {
  return {
    principal: (values: readonly string[]) => read((f) => f.peer.principal, compileStrings(principalPatterns(values, mesh))),
    namespace: (values: readonly string[]) => peerTest(compileNamespaces(values, mesh)),
    serviceAccount: (values: readonly string[]) => peerTest(compileAccounts(accountPatterns(values, namespace), mesh)),
    trustDomain: (values: readonly string[]) => read((f) => f.peer.trustDomain, compileStrings(trustDomainPatterns(values, mesh))),
    ip: addressTest((request) => request.source.ip),
    remoteIp: addressTest((request) => request.source.remoteIp ?? request.source.ip),
  };
}

const peerTest = (match: PeerMatch): Predicate => (facts) => match(facts.peer);

/** A bare service account name belongs to the policy's own namespace. */
export function accountPatterns(values: readonly string[], namespace: string): string[] {
  return values.map((value) => (value.includes('/') ? value : `${namespace}/${value}`));
}

function addressTest(value: (request: PolicyRequest) => string) {
  return (values: readonly string[]): Predicate => {
    const match = compileIpBlocks(values);
    return (facts) => match(facts.address(value(facts.request)));
  };
}

function principalTest(values: readonly string[]): Predicate {
  const match = compileRequestPrincipals(values);
  return ({ request: { token } }) => token !== undefined && token !== null && match(token);
}

/** True when one of the token's values for the field matches. */
function tokenTest(reader: TokenReader) {
  return (values: readonly string[]): Predicate => {
    const match = compileStrings(values);
    return ({ request: { token } }) => token !== undefined && token !== null && reader(token).some(match);
  };
}

function operationClauses(operation: RuleOperation, context: RuleContext): Clause[] {
  const http = [
    ...pair([operation.hosts, operation.notHosts], (values) => hostTest(values, context)),
    ...pair([operation.methods, operation.notMethods], (values) => read((f) => f.request.http?.method ?? '', compileStrings(values))),
    ...pair([operation.paths, operation.notPaths], (values) => read((f) => f.path, compilePaths(values, context.mesh.compatibility === 'istio'))),
  ];
  const ports = pair([operation.ports, operation.notPorts], (values) => read((f) => f.port, compileStrings(values)));
  return [...clauses(ports, false), ...clauses(http, true)];
}

/** Safer than Istio (D2): `h` also means `h:8080`, so that a port cannot slip past a DENY (ISTIO-SECURITY-2021-008). */
function hostTest(values: readonly string[], { mesh }: RuleContext): Predicate {
  const match = compileStrings(values, true, () => true);
  if (mesh.compatibility === 'istio') return (facts) => match(facts.host);
  return (facts) => match(facts.host) || match(facts.bareHost);
}

function conditionClauses(condition: RuleCondition, context: RuleContext): Clause[] {
  const { key } = condition;
  const lists: Lists = [condition.values, condition.notValues];
  const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1]?.toLowerCase();
  if (header !== undefined) return clauses(pair(lists, (values) => headerTest(header, values)), true);
  const token = key === 'request.auth.principal' ? principalTest : tokenCondition(key);
  if (token !== null) return clauses(known(pair(lists, token), context, hasToken), true);
  const compile = plainConditions(context)[key];
  if (compile === undefined) throw new Error(`condition key ${key} passed the schema but has no reader`);
  const tests = pair(lists, compile);
  return clauses(/^source\.(namespace|principal|serviceAccount|trustDomain)$/.test(key) ? known(tests, context, hasPeer) : tests, false);
}

function plainConditions(context: RuleContext): Readonly<Record<string, (values: readonly string[]) => Predicate>> {
  const field = sourceFields(context);
  return {
    'source.ip': field.ip,
    'remote.ip': field.remoteIp,
    'source.namespace': field.namespace,
    'source.principal': field.principal,
    'source.serviceAccount': field.serviceAccount,
    'source.trustDomain': field.trustDomain,
    'destination.ip': addressTest((request) => request.destination.ip),
    'destination.port': (values) => read((f) => f.port, compileStrings(values)),
    'connection.sni': (values) => read((f) => f.request.sni ?? '', compileStrings(values)),
  };
}

function tokenCondition(key: string): ((values: readonly string[]) => Predicate) | null {
  if (key === 'request.auth.audiences') return tokenTest(readToken.audiences);
  if (key === 'request.auth.presenter') return tokenTest(readToken.presenter);
  const claim = /^request\.auth\.claims\[(.+)\]$/.exec(key)?.[1];
  return claim === undefined ? null : tokenTest(claimValues(claim.split('][')));
}

/** Each value of a repeated header stands by itself (CVE-2026-26308: joined values dodge a DENY). `*` asks for presence. */
function headerTest(name: string, values: readonly string[]): Predicate {
  const match = compileStrings(values, false, () => true);
  // Istio takes Envoy's pseudo-headers too; our admission asks for `methods` and `hosts` instead.
  if (name === ':method') return read((facts) => facts.request.http?.method ?? '', match);
  if (name === ':authority') return read((facts) => facts.request.http?.host ?? '', match);
  return ({ request: { http } }) => {
    const present = http !== undefined && Object.hasOwn(http.headers, name) ? http.headers[name] : undefined;
    return present !== undefined && present.some(match);
  };
}
