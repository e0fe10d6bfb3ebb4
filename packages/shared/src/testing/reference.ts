import type { PolicyRequest } from '../policy/index.ts';
import type { AuthorizationPolicy, AuthorizationRule, MeshSpec, RuleCondition, RuleOperation, RuleSource } from '../resources/index.ts';

/**
 * A second reading of the policy semantics, for tests alone: straight from the text of Istio's reference and of
 * docs/policy-differences.md, rule by rule, without compilation or index. The product never decides with it.
 */
export interface ReferenceWorld {
  readonly mesh: MeshSpec;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly policies: readonly AuthorizationPolicy[];
}

export interface ReferenceVerdict {
  readonly effect: 'ALLOW' | 'DENY' | 'ASK';
  readonly shadow: readonly string[];
}

interface Ask {
  readonly mesh: MeshSpec;
  readonly policy: AuthorizationPolicy;
  readonly request: PolicyRequest;
}

/** The verdict on a request whose method and peer are well-formed. */
export function referenceDecide(world: ReferenceWorld, request: PolicyRequest): ReferenceVerdict {
  const here = world.policies.filter(({ metadata, spec }) => {
    if (spec.targetRefs) return false;
    const scope = metadata.namespace === world.namespace || metadata.namespace === world.mesh.rootNamespace;
    return scope && Object.entries(spec.selector?.matchLabels ?? {}).every(([key, value]) => world.labels[key] === value);
  });
  const silent = here.filter(({ spec }) => spec.action === 'AUDIT' || spec.enforcement === 'DryRun');
  const loud = here.filter((policy) => !silent.includes(policy));
  const matching = (policies: readonly AuthorizationPolicy[]) => policies.filter((policy) => (policy.spec.rules ?? []).some((rule) => ruleMatches(rule, { mesh: world.mesh, policy, request })));
  const of = (action: string) => loud.filter(({ spec }) => spec.action === action);
  const shadow = matching(silent).map(({ metadata }) => metadata.name);
  const providers = new Set(of('CUSTOM').map(({ spec }) => spec.provider?.name));
  const unusable = providers.size > 1 || [...providers].some((name) => !world.mesh.extensionProviders?.some((provider) => provider.name === name));
  const istio = world.mesh.compatibility === 'istio';
  if ((unusable && !istio) || matching(of('DENY')).length > 0) return { effect: 'DENY', shadow };
  if (of('ALLOW').length > 0 && matching(of('ALLOW')).length === 0) return { effect: 'DENY', shadow };
  const asking = matching(of('CUSTOM'));
  if (asking.length === 0) return { effect: 'ALLOW', shadow };
  if (unusable) return { effect: 'DENY', shadow };
  const speaksHttp = world.mesh.extensionProviders?.some(({ name, envoyExtAuthzHttp }) => providers.has(name) && envoyExtAuthzHttp);
  return { effect: istio && !request.http && speaksHttp ? 'ALLOW' : 'ASK', shadow };
}

function ruleMatches(rule: AuthorizationRule, ask: Ask): boolean {
  const tightening = ask.policy.spec.action === 'DENY' || ask.policy.spec.action === 'CUSTOM';
  if (!ask.request.http && !tightening && mentionsHttp(rule)) return false;
  if (rule.from && !rule.from.some(({ source }) => sourceMatches(source, ask))) return false;
  if (rule.to && !rule.to.some(({ operation }) => operationMatches(operation, ask))) return false;
  return (rule.when ?? []).every((condition) => conditionMatches(condition, ask));
}

function mentionsHttp(rule: AuthorizationRule): boolean {
  return /"(hosts|notHosts|methods|notMethods|paths|notPaths|requestPrincipals|notRequestPrincipals)":|"key":"request\./.test(JSON.stringify(rule));
}

const text = (pattern: string, value: string): boolean => {
  if (pattern === '*') return value.length > 0;
  if (pattern[0] === '*') return value.endsWith(pattern.slice(1));
  if (pattern.at(-1) === '*') return value.startsWith(pattern.slice(0, -1));
  return pattern === value;
};
const anyText = (patterns: readonly string[], value: string) => patterns.some((pattern) => text(pattern, value));

function peerOf({ request }: Ask) {
  const id = request.source.principal?.replace('spiffe://', '') ?? '';
  const parts = /^([^/]*)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id);
  return { id, trustDomain: id.split('/')[0] ?? '', namespace: parts?.[2] ?? '', account: parts ? `${parts[2]}/${parts[3]}` : '' };
}

/** One field's two lists over a test; `needs` says whether a negative alone must be backed by something present. */
function lists(positive: readonly string[] | undefined, negative: readonly string[] | undefined, test: (values: readonly string[]) => boolean, present: boolean, ask: Ask): boolean {
  if (!positive && !negative) return true;
  const admits = ask.policy.spec.action === 'ALLOW' || ask.policy.spec.action === 'AUDIT';
  if (ask.mesh.compatibility !== 'istio' && admits && !present) return false;
  return (!positive || test(positive)) && !(negative && test(negative));
}

function principalTest(values: readonly string[], ask: Ask): boolean {
  const own = [ask.mesh.trustDomain, ...(ask.mesh.trustDomainAliases ?? [])];
  const istio = ask.mesh.compatibility === 'istio';
  return values.some((value) => {
    const plain = istio ? value : value.replace(/^spiffe:\/\//, '');
    const [domain = '', ...path] = plain.split('/');
    const ours = (istio ? path.length === 4 : path.length > 0) && (own.includes(domain) || domain === 'cluster.local');
    return ours ? own.some((each) => text(`${each}/${path.join('/')}`, peerOf(ask).id)) : text(plain, peerOf(ask).id);
  });
}

function namespaceTest(values: readonly string[], ask: Ask): boolean {
  if (ask.mesh.compatibility !== 'istio') return anyText(values, peerOf(ask).namespace);
  return values.some((value) => new RegExp(`/ns/${value.replaceAll('*', '.*')}/`).test(peerOf(ask).id));
}

function domainTest(values: readonly string[], ask: Ask): boolean {
  const own = [ask.mesh.trustDomain, ...(ask.mesh.trustDomainAliases ?? [])];
  return values.some((value) => (own.includes(value) || (value === 'cluster.local' && ask.mesh.compatibility !== 'istio') ? own.includes(peerOf(ask).trustDomain) : text(value, peerOf(ask).trustDomain)));
}

function accountTest(values: readonly string[], ask: Ask): boolean {
  return values.some((value) => {
    const [namespace, name] = value.includes('/') ? value.split('/') : [ask.policy.metadata.namespace, value];
    if (ask.mesh.compatibility !== 'istio') return `${namespace}/${name}` === peerOf(ask).account;
    return new RegExp(`^spiffe://.+/ns/${namespace}/(.+/|)sa/${name}(/.+)?$`).test(ask.request.source.principal ?? '');
  });
}

/** IPv4 only: that is all the generated requests have. */
function inBlock(blocks: readonly string[], address: string): boolean {
  const number = (ip: string) => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return blocks.some((block) => {
    const [base = '', bits = '32'] = block.split('/');
    const size = 2 ** (32 - Number(bits));
    return Math.floor(number(base) / size) === Math.floor(number(address) / size);
  });
}

function sourceMatches(source: RuleSource, ask: Ask): boolean {
  const { request } = ask;
  const peer = request.source.principal !== null;
  const remote = request.source.remoteIp ?? request.source.ip;
  return (
    lists(source.principals, source.notPrincipals, (values) => principalTest(values, ask), peer, ask) &&
    lists(source.namespaces, source.notNamespaces, (values) => namespaceTest(values, ask), peer, ask) &&
    lists(source.serviceAccounts, source.notServiceAccounts, (values) => accountTest(values, ask), peer, ask) &&
    lists(source.trustDomains, source.notTrustDomains, (values) => domainTest(values, ask), peer, ask) &&
    lists(source.ipBlocks, source.notIpBlocks, (values) => inBlock(values, request.source.ip), true, ask) &&
    lists(source.remoteIpBlocks, source.notRemoteIpBlocks, (values) => inBlock(values, remote), true, ask) &&
    (!request.http || lists(source.requestPrincipals, source.notRequestPrincipals, (values) => tokenTest('principal', values, ask), Boolean(request.token), ask))
  );
}

function tokenTest(attribute: string, patterns: readonly string[], { request }: Ask): boolean {
  if (!request.token) return false;
  const { claims, spaceDelimited } = request.token;
  const list = (value: unknown) => (typeof value === 'string' ? [value] : Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []);
  const [issuer, subject] = [claims['iss'], claims['sub']];
  if (attribute === 'principal') return typeof issuer === 'string' && typeof subject === 'string' && patterns.some((pattern) => principalMatches(pattern, issuer, subject));
  const names = attribute.split('.').slice(1);
  const deep = names.reduce<unknown>((value, name) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>)[name] : undefined), claims);
  const claim = typeof deep === 'string' && names.length === 1 && spaceDelimited.includes(names[0] ?? '') ? deep.split(' ').filter((part) => part) : list(deep);
  const values = attribute === 'audiences' ? list(claims['aud']) : attribute === 'presenter' ? list(claims['azp']) : claim;
  return values.some((value) => anyText(patterns, value));
}

/** `iss/sub` divided at the last slash; a star at an end belongs to the half that it stands in. */
function principalMatches(pattern: string, issuer: string, subject: string): boolean {
  const parts = /^(?:(.*)\/)?([^/]*)$/s.exec(pattern);
  const [first, second] = [parts?.[1], parts?.[2] ?? ''];
  if (first !== undefined) {
    const iss = pattern.startsWith('*') ? text(first, issuer) : first === issuer;
    return iss && (pattern.endsWith('*') && !pattern.startsWith('*') ? text(second, subject) : second === subject);
  }
  if (second === '*') return issuer !== '' && subject !== '';
  if (second.startsWith('*')) return issuer !== '' && subject.endsWith(second.slice(1));
  return second.endsWith('*') ? issuer.startsWith(second.slice(0, -1)) && subject !== '' : second === issuer && subject === '';
}

function operationMatches(operation: RuleOperation, ask: Ask): boolean {
  const { http, destination } = ask.request;
  const ports = lists(operation.ports, operation.notPorts, (values) => values.includes(String(destination.port)), true, ask);
  if (!http) return ports;
  const host = http.host.toLowerCase();
  const hosts = ask.mesh.compatibility === 'istio' ? [host] : [host, host.replace(/:\d+$/, '')];
  return (
    ports &&
    lists(operation.hosts, operation.notHosts, (values) => values.some((value) => value === '*' || hosts.some((each) => text(value.toLowerCase(), each))), true, ask) &&
    lists(operation.methods, operation.notMethods, (values) => anyText(values, http.method), true, ask) &&
    lists(operation.paths, operation.notPaths, (values) => values.some((value) => pathMatches(value, http.path, ask.mesh.compatibility === 'istio')), true, ask)
  );
}

/** Templates as Envoy's URI template matcher turns them into expressions. */
function pathMatches(pattern: string, path: string, istio: boolean): boolean {
  if (!pattern.includes('{')) return text(pattern, path);
  const [one, any] = istio ? ["[\\w\\-.~%!$&'()+,;:@=]+", "[\\w\\-.~%!$&'()+,;:@=/]*"] : ['[^/]+', '.*'];
  const expression = pattern.replace(/[.+?^$()|[\]\\]/g, '\\$&').replaceAll('{**}', () => any).replaceAll('{*}', () => one);
  return new RegExp(`^${expression}$`).test(path);
}

function conditionMatches({ key, values, notValues }: RuleCondition, ask: Ask): boolean {
  const { request } = ask;
  const peer = request.source.principal !== null;
  const on = (test: (patterns: readonly string[]) => boolean, present = true) => lists(values, notValues, test, present, ask);
  const bracket = [...key.matchAll(/\[([^\]]+)\]/g)].map((match) => match[1] ?? '');
  if (key.startsWith('request.') && !request.http) return true;
  if (key.startsWith('request.headers')) {
    const sent = request.http?.headers[bracket[0]?.toLowerCase() ?? ''] ?? [];
    return on((patterns) => sent.some((value) => patterns.includes('*') || anyText(patterns, value)));
  }
  if (key.startsWith('request.auth.claims')) return on((patterns) => tokenTest(['claims', ...bracket].join('.'), patterns, ask), Boolean(request.token));
  if (key.startsWith('request.auth.')) return on((patterns) => tokenTest(key.slice('request.auth.'.length), patterns, ask), Boolean(request.token));
  const tests: Record<string, () => boolean> = {
    'source.ip': () => on((blocks) => inBlock(blocks, request.source.ip)),
    'remote.ip': () => on((blocks) => inBlock(blocks, request.source.remoteIp ?? request.source.ip)),
    'source.namespace': () => on((patterns) => namespaceTest(patterns, ask), peer),
    'source.principal': () => on((patterns) => principalTest(patterns, ask), peer),
    'source.serviceAccount': () => on((patterns) => accountTest(patterns, ask), peer),
    'source.trustDomain': () => on((patterns) => domainTest(patterns, ask), peer),
    'destination.ip': () => on((blocks) => inBlock(blocks, request.destination.ip)),
    'destination.port': () => on((ports) => ports.includes(String(request.destination.port))),
    'connection.sni': () => on((patterns) => anyText(patterns, request.sni ?? '')),
  };
  return tests[key]?.() ?? false;
}
