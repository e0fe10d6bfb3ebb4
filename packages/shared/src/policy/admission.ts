import { parseSpiffeId } from '../mesh/index.ts';
import type { AuthorizationPolicy, AuthorizationRule, MeshSpec, PeerAuthentication, RequestAuthentication, TrafficPolicy } from '../resources/index.ts';
import { isTemplate } from './match.ts';
import { type ServiceLookup, trafficProblems } from './traffic-admission.ts';

/** What admission has to know besides the object. */
export interface AdmissionContext extends ServiceLookup {
  readonly mesh: MeshSpec;
}

/** One reason to refuse an object that its schema accepts. */
export interface AdmissionProblem {
  /** Field path such as `spec.rules[0].from[0].source.principals[1]`. */
  readonly field: string;
  readonly message: string;
}

type Admitted = AuthorizationPolicy | PeerAuthentication | RequestAuthentication | TrafficPolicy;

/**
 * Reasons not to take a policy that Istio would take to an effect that its author did not mean: a condition that never
 * matches, a reference that leads nowhere. None with `compatibility: istio`, where such a policy has Istio's effect; a
 * TrafficPolicy, which is not Istio's, is looked at in any case.
 */
export function admissionProblems(object: Admitted, context: AdmissionContext): AdmissionProblem[] {
  if (object.kind === 'TrafficPolicy') return trafficProblems(object, context);
  if (context.mesh.compatibility === 'istio') return [];
  if (object.kind === 'PeerAuthentication') return peerProblems(object, context.mesh);
  return [...refProblems(object, context), ...(object.kind === 'AuthorizationPolicy' ? policyProblems(object, context.mesh) : [...keyProblems(object), ...outputProblems(object)])];
}

/** Istio ignores both, in silence. */
function peerProblems({ metadata, spec }: PeerAuthentication, mesh: MeshSpec): AdmissionProblem[] {
  const selector = Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
  const problems: AdmissionProblem[] = [];
  if (selector && metadata.namespace === mesh.rootNamespace) {
    problems.push({ field: 'spec.selector', message: `selects nothing in the root namespace ${mesh.rootNamespace}; put it into the namespace of the workloads` });
  }
  if (!selector && Object.keys(spec.portLevelMtls ?? {}).length > 0) {
    problems.push({ field: 'spec.portLevelMtls', message: 'has no effect without a selector; add one' });
  }
  return problems;
}

function refProblems({ metadata, spec }: AuthorizationPolicy | RequestAuthentication, { serviceExists }: AdmissionContext): AdmissionProblem[] {
  return (spec.targetRefs ?? []).flatMap((ref, index): AdmissionProblem[] => {
    const field = `spec.targetRefs[${index}]`;
    if (ref.kind !== 'Service') return [{ field: `${field}.kind`, message: `no proxy of ours serves a ${ref.kind}; attach to a Service, or use a selector` }];
    const namespace = ref.namespace ?? metadata.namespace ?? '';
    if (namespace !== metadata.namespace) return [{ field: `${field}.namespace`, message: 'must be the policy’s own namespace' }];
    if (serviceExists?.(namespace, ref.name) === false) return [{ field: `${field}.name`, message: `there is no Service ${namespace}/${ref.name}; apply it first, or together with the policy` }];
    return [];
  });
}

function policyProblems(policy: AuthorizationPolicy, mesh: MeshSpec): AdmissionProblem[] {
  const { provider, rules } = policy.spec;
  const unknown = provider !== undefined && !mesh.extensionProviders?.some((each) => each.name === provider.name);
  return [
    ...(unknown ? [{ field: 'spec.provider.name', message: `the Mesh has no extension provider ${provider.name}; add it to spec.extensionProviders` }] : []),
    ...(rules ?? []).flatMap((rule, index) => ruleProblems(rule, `spec.rules[${index}]`)),
  ];
}

type Check = (value: string) => string | null;

/** Istio reads a star in the middle as itself, which is never what its author meant. */
const star: Check = (value) => {
  if (value === '*' || isTemplate(value)) return null;
  const inner = value.startsWith('*') ? value.slice(1) : value.endsWith('*') ? value.slice(0, -1) : value;
  return inner.includes('*') ? 'a * may stand only first or last, and only one of both' : null;
};
const method: Check = (value) => (/[a-z]/.test(value) ? 'must be in upper case, as methods are on the wire' : star(value));
const principal: Check = (value) => {
  if (value.startsWith('*') || value.endsWith('*')) return star(value);
  try {
    parseSpiffeId(value.startsWith('spiffe://') ? value : `spiffe://${value}`);
    return null;
  } catch (error) {
    return `is no SPIFFE ID, so no peer ever has it: ${error instanceof Error ? error.message : 'unreadable'}`;
  }
};
const path: Check = (value) => (value.startsWith('/') || value.startsWith('*') ? star(value) : 'must begin with a slash or a *: no path ever matches it');

/** By the field's name without its `not`. */
const CHECKS: Readonly<Record<string, Check>> = {
  principals: principal, namespaces: star, trustDomains: star, requestPrincipals: star, hosts: star, methods: method, paths: path,
  'source.principal': principal, 'source.namespace': star, 'source.trustDomain': star, 'request.auth.principal': star, 'connection.sni': star,
};

function ruleProblems(rule: AuthorizationRule, place: string): AdmissionProblem[] {
  const lists: (readonly [field: string, name: string, values: readonly string[] | undefined])[] = [
    ...(rule.from ?? []).flatMap(({ source }, index) => Object.entries(source).map(([name, values]) => [`${place}.from[${index}].source.${name}`, name, values] as const)),
    ...(rule.to ?? []).flatMap(({ operation }, index) => Object.entries(operation).map(([name, values]) => [`${place}.to[${index}].operation.${name}`, name, values] as const)),
    ...(rule.when ?? []).flatMap(({ key, values, notValues }, index) => [[`${place}.when[${index}].values`, key, values] as const, [`${place}.when[${index}].notValues`, key, notValues] as const]),
  ];
  const pseudo = (rule.when ?? []).flatMap(({ key }, index) =>
    key.startsWith('request.headers[:') ? [{ field: `${place}.when[${index}].key`, message: 'is no header of a request; use `methods` or `hosts` of an operation' }] : []);
  return [...pseudo, ...lists.flatMap(([field, name, values]) => {
    const check = CHECKS[name.replace(/^not([A-Z])/, (_, first: string) => first.toLowerCase())];
    return (values ?? []).flatMap((value, index) => {
      const message = check?.(value) ?? null;
      return message === null ? [] : [{ field: `${field}[${index}]`, message }];
    });
  })];
}

/** CVE-2026-31837: a shared secret among public keys lets anyone who reads it sign. */
function keyProblems({ spec }: RequestAuthentication): AdmissionProblem[] {
  return spec.jwtRules.flatMap((rule, index): AdmissionProblem[] => {
    const { keys } = JSON.parse(rule.jwks ?? '{"keys":[]}') as { keys: readonly unknown[] };
    const secret = keys.some((key) => typeof key === 'object' && key !== null && ('d' in key || 'k' in key));
    return secret ? [{ field: `spec.jwtRules[${index}].jwks`, message: 'holds a private or shared key; only public keys belong here' }] : [];
  });
}

/** Fields that frame or route a message, or by which proxies speak to each other. */
const NO_OUTPUT = /^(host|content-length|transfer-encoding|connection|proxy-.*|keep-alive|te|trailer|upgrade|expect|x-forwarded-client-cert|x-sallyport-.*)$/i;

/** A claim must not become the length of a body or somebody's identity; the proxies leave such a header out. */
function outputProblems({ spec }: RequestAuthentication): AdmissionProblem[] {
  return spec.jwtRules.flatMap((rule, index): AdmissionProblem[] => {
    const place = `spec.jwtRules[${index}]`;
    const named = [
      { field: `${place}.outputPayloadToHeader`, header: rule.outputPayloadToHeader ?? '' },
      ...(rule.outputClaimToHeaders ?? []).map(({ header }, claim) => ({ field: `${place}.outputClaimToHeaders[${claim}].header`, header })),
    ];
    return named.filter(({ header }) => NO_OUTPUT.test(header)).map(({ field, header }) => ({ field, message: `${header} is a header that only the proxy sets; choose another` }));
  });
}
