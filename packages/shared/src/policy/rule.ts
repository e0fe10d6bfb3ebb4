import { parseSpiffeId } from '../mesh/index.ts';
import type { AuthorizationRule, MeshSpec, RuleCondition, RuleOperation, RuleSource } from '../resources/index.ts';
import { compileIpBlocks, compilePaths, compileStrings, type StringMatch } from './match.ts';
import type { PolicyRequest } from './types.ts';

/** The request with what rules ask of it, worked out once. */
export interface RequestFacts {
  readonly request: PolicyRequest;
  /** Principal without its scheme and with aliases of our trust domain replaced by its name; '' for plaintext. */
  readonly principal: string;
  readonly namespace: string;
  /** `namespace/name`, or ''. */
  readonly serviceAccount: string;
  readonly path: string;
}

export type Predicate = (facts: RequestFacts) => boolean;

/** What a rule's compilation depends on besides its own text. */
export interface RuleContext {
  readonly mesh: Pick<MeshSpec, 'trustDomain' | 'trustDomainAliases'>;
  readonly namespace: string;
  readonly deny: boolean;
}

/** Works out the facts of a request whose path is already in normal form. */
export function requestFacts(request: PolicyRequest, path: string, mesh: RuleContext['mesh']): RequestFacts {
  if (request.source.principal === null) return { request, principal: '', namespace: '', serviceAccount: '', path };
  const id = parseSpiffeId(request.source.principal);
  const domain = mesh.trustDomainAliases?.includes(id.trustDomain) ? mesh.trustDomain : id.trustDomain;
  return {
    request,
    principal: `${domain}${id.path}`,
    namespace: id.namespace ?? '',
    serviceAccount: id.namespace === null ? '' : `${id.namespace}/${id.serviceAccount ?? ''}`,
    path,
  };
}

/**
 * Compiles one rule: `from` AND `to` AND every `when`; entries of a list are OR, fields inside one entry AND.
 * A rule without any of the three matches everything (Istio: `rules: [{}]`).
 */
export function compileRule(rule: AuthorizationRule, context: RuleContext): Predicate {
  const parts: Predicate[] = [];
  if (rule.from) parts.push(anyOf(rule.from.map((entry) => compileSource(entry.source, context))));
  if (rule.to) parts.push(anyOf(rule.to.map((entry) => compileOperation(entry.operation, context))));
  for (const condition of rule.when ?? []) parts.push(compileCondition(condition, context));
  return allOf(parts);
}

function allOf(tests: readonly Predicate[]): Predicate {
  return (facts) => tests.every((test) => test(facts));
}

function anyOf(tests: readonly Predicate[]): Predicate {
  return (facts) => tests.some((test) => test(facts));
}

/** A pair of positive and negative lists over one value of the request. */
function listPair(read: (facts: RequestFacts) => string, positive?: StringMatch, negative?: StringMatch): Predicate[] {
  const tests: Predicate[] = [];
  if (positive) tests.push((facts) => positive(read(facts)));
  if (negative) tests.push((facts) => !negative(read(facts)));
  return tests;
}

function optional(compile: (values: readonly string[]) => StringMatch, values: readonly string[] | undefined): StringMatch | undefined {
  return values && compile(values);
}

function compileSource(source: RuleSource, context: RuleContext): Predicate {
  const principals = (values: readonly string[]) => compileStrings(values.map((value) => ownDomain(value, context.mesh)));
  const accounts = (values: readonly string[]) =>
    compileStrings(values.map((value) => (value.includes('/') ? value : `${context.namespace}/${value}`)));
  const identity = [
    ...listPair((f) => f.principal, optional(principals, source.principals), optional(principals, source.notPrincipals)),
    ...listPair((f) => f.namespace, optional(compileStrings, source.namespaces), optional(compileStrings, source.notNamespaces)),
    ...listPair((f) => f.serviceAccount, optional(accounts, source.serviceAccounts), optional(accounts, source.notServiceAccounts)),
  ];
  // Safer than Istio (docs/policy-differences.md, D1): "not X" in an ALLOW rule never admits a peer without identity.
  if (!context.deny && identity.length > 0) identity.unshift((facts) => facts.principal !== '');
  const address = listPair((f) => f.request.source.ip, optional(compileIpBlocks, source.ipBlocks), optional(compileIpBlocks, source.notIpBlocks));
  return allOf([...identity, ...address]);
}

/** Istio's aliases: a pattern whose trust domain is ours, an alias or `cluster.local` speaks of our trust domain. */
function ownDomain(pattern: string, mesh: RuleContext['mesh']): string {
  const text = pattern.startsWith('spiffe://') ? pattern.slice('spiffe://'.length) : pattern;
  const slash = text.indexOf('/');
  if (slash < 0) return text;
  const domain = text.slice(0, slash);
  const own = domain === 'cluster.local' || domain === mesh.trustDomain || mesh.trustDomainAliases?.includes(domain);
  return own ? `${mesh.trustDomain}${text.slice(slash)}` : text;
}

function compileOperation(operation: RuleOperation, context: RuleContext): Predicate {
  const ports = listPair(
    (f) => String(f.request.destination.port),
    optional(compileStrings, operation.ports),
    optional(compileStrings, operation.notPorts),
  );
  const hosts = (values: readonly string[]) => compileHosts(values);
  const http = [
    ...listPair((f) => f.request.http?.host ?? '', optional(hosts, operation.hosts), optional(hosts, operation.notHosts)),
    ...listPair((f) => f.request.http?.method ?? '', optional(compileStrings, operation.methods), optional(compileStrings, operation.notMethods)),
    ...listPair((f) => f.path, optional(compilePaths, operation.paths), optional(compilePaths, operation.notPaths)),
  ];
  return allOf([...ports, ...httpOnly(http, context)]);
}

/**
 * Istio: on a TCP port an ALLOW rule with an HTTP field is dropped, and a DENY rule loses just those fields and so
 * denies more. Both fail closed.
 */
function httpOnly(tests: readonly Predicate[], context: RuleContext): Predicate[] {
  return tests.map((test) => (facts) => (facts.request.http === undefined ? context.deny : test(facts)));
}

/** Safer than Istio (D2): `h` also means `h:8080`, so that a port cannot slip past a DENY (ISTIO-SECURITY-2021-008). */
function compileHosts(values: readonly string[]): StringMatch {
  const match = compileStrings(values, true);
  return (host) => match(host) || match(host.replace(/:\d+$/, ''));
}

function compileCondition(condition: RuleCondition, context: RuleContext): Predicate {
  const header = /^request\.headers\[(.+)\]$/.exec(condition.key)?.[1]?.toLowerCase();
  if (header !== undefined) {
    return allOf(httpOnly([compileHeader(header, condition)], context));
  }
  const compile = condition.key.endsWith('.ip') ? compileIpBlocks : compileStrings;
  const patterns = (values: readonly string[]) =>
    compile(condition.key === 'source.principal' ? values.map((value) => ownDomain(value, context.mesh)) : values);
  const read = CONDITION_VALUES[condition.key];
  if (!read) throw new Error(`condition key ${condition.key} passed the schema but has no reader`);
  const tests = listPair(read, optional(patterns, condition.values), optional(patterns, condition.notValues));
  const identity = /^source\.(namespace|principal|serviceAccount)$/.test(condition.key);
  if (identity && !context.deny) tests.unshift((facts) => facts.principal !== '');
  return allOf(tests);
}

const CONDITION_VALUES: Readonly<Record<string, (facts: RequestFacts) => string>> = {
  'source.ip': (f) => f.request.source.ip,
  'source.namespace': (f) => f.namespace,
  'source.principal': (f) => f.principal,
  'source.serviceAccount': (f) => f.serviceAccount,
  'destination.ip': (f) => f.request.destination.ip,
  'destination.port': (f) => String(f.request.destination.port),
  'connection.sni': (f) => f.request.sni ?? '',
};

/** Each value of a repeated header stands by itself (CVE-2026-26308: joined values dodge a DENY). */
function compileHeader(name: string, condition: RuleCondition): Predicate {
  const positive = condition.values && compileStrings(condition.values);
  const negative = condition.notValues && compileStrings(condition.notValues);
  return (facts) => {
    const values = facts.request.http?.headers[name] ?? [];
    if (positive && !values.some(positive)) return false;
    return !(negative && values.some(negative));
  };
}
