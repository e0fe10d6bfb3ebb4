import { parseSpiffeId } from '@sallyport/shared/mesh';
import { KeySetError, keySourceOf, readKeySet } from '@sallyport/shared/push';
import { servicesNamed } from '@sallyport/shared/policy';
import type { AuthorizationPolicy, JwtRule, RequestAuthentication, Resource, TrafficPolicy } from '@sallyport/shared/resources';

/** What objects may refer to, as it is now. */
export interface Referable {
  /** Names of our own trust domain. */
  readonly trustDomains: ReadonlySet<string>;
  /** Identities that exist, as `namespace/serviceAccount`. */
  readonly accounts: ReadonlySet<string>;
  /** Ports of services, by `namespace/name`. */
  readonly services: ReadonlyMap<string, ReadonlySet<number>>;
  /** The policy that rules each service, by `namespace/name` of the service. */
  readonly trafficRulers: ReadonlyMap<string, TrafficPolicy>;
  /** Extension providers of the Mesh. */
  readonly providers: ReadonlySet<string>;
  /** What is known of the keys at a source; null before the first attempt to fetch them ended. */
  readonly keys: (source: string) => KeyState | null;
}

/** Times in ms since the epoch. */
export interface KeyState {
  readonly fetchedAt: number | null;
  /** Why the last attempt failed; null when it did not. */
  readonly failure: string | null;
}

/** The condition `ResolvedRefs` of an object, without its type. */
export interface Resolution {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

const RESOLVED: Resolution = { status: 'True', reason: 'ResolvedRefs', message: 'all that it names exists' };

/** Whether everything that an object names exists: the first problem, or all is well. */
export function resolve(object: Resource, known: Referable): Resolution {
  if (object.kind === 'RequestAuthentication') return targetProblem(object, known) ?? keyProblem(object, known) ?? resolvedKeys(object, known);
  if (object.kind === 'TrafficPolicy') return backendProblem(object, known) ?? RESOLVED;
  if (object.kind !== 'AuthorizationPolicy') return accountProblem(object, known) ?? RESOLVED;
  return targetProblem(object, known) ?? providerProblem(object, known) ?? accountProblem(object, known) ?? RESOLVED;
}

function problem(reason: string, message: string): Resolution {
  return { status: 'False', reason, message };
}

function targetProblem({ metadata, spec }: AuthorizationPolicy | RequestAuthentication, { services }: Referable): Resolution | null {
  const missing = (spec.targetRefs ?? []).find((ref) => ref.kind === 'Service' && !services.has(`${metadata.namespace ?? ''}/${ref.name}`));
  return missing ? problem('TargetNotFound', `there is no Service ${metadata.namespace ?? ''}/${missing.name}, so nothing is attached by that reference`) : null;
}

/** Gateway API: a route's reference that leads nowhere has the reason `BackendNotFound`, a policy's `TargetNotFound`. */
function backendProblem(policy: TrafficPolicy, { services }: Referable): Resolution | null {
  for (const { field, name, port } of servicesNamed(policy)) {
    const service = `${policy.metadata.namespace ?? ''}/${name}`;
    const target = field.startsWith('spec.targetRefs');
    const ports = services.get(service);
    if (ports === undefined) return problem(target ? 'TargetNotFound' : 'BackendNotFound', `there is no Service ${service}, so ${target ? 'nothing is attached by that reference' : 'calls for it fail'}`);
    if (port !== null && !ports.has(port)) return problem('BackendNotFound', `Service ${service} has no port ${port}, so calls for it fail`);
  }
  return null;
}

function providerProblem({ spec }: AuthorizationPolicy, { providers }: Referable): Resolution | null {
  if (spec.provider === undefined || providers.has(spec.provider.name)) return null;
  return problem('UnknownProvider', `the Mesh has no extension provider ${spec.provider.name}, so every call is denied; add it to spec.extensionProviders`);
}

/** A principal that nobody holds is most likely a typo, and an ALLOW rule with it admits nobody. */
function accountProblem(object: Resource, { accounts, trustDomains }: Referable): Resolution | null {
  const list = [...new Set(referencedAccounts(object, trustDomains).filter((account) => !accounts.has(account)))].sort();
  if (list.length === 0) return null;
  const shown = list.slice(0, 5).join(', ');
  return problem('UnknownServiceAccount', `no workload has service account ${shown}${list.length > 5 ? ` and ${list.length - 5} more` : ''}`);
}

function referencedAccounts(object: Resource, trustDomains: ReadonlySet<string>): string[] {
  const namespace = object.metadata.namespace ?? '';
  if (object.kind === 'ExpectedGraph') return object.spec.edges.map(({ from }) => `${from.namespace ?? namespace}/${from.serviceAccount}`);
  if (object.kind !== 'AuthorizationPolicy') return [];
  const sources = (object.spec.rules ?? []).flatMap((rule) => (rule.from ?? []).map((entry) => entry.source));
  return sources.flatMap((source) => [
    ...(source.principals ?? []).flatMap((principal) => accountOf(principal, trustDomains)),
    ...(source.serviceAccounts ?? []).map((account) => (account.includes('/') ? account : `${namespace}/${account}`)),
  ]);
}

function accountOf(principal: string, trustDomains: ReadonlySet<string>): string[] {
  if (principal.includes('*')) return [];
  try {
    const id = parseSpiffeId(principal.startsWith('spiffe://') ? principal : `spiffe://${principal}`);
    // Who exists in another trust domain is not for us to know.
    if (!trustDomains.has(id.trustDomain)) return [];
    return [id.namespace === null ? principal : `${id.namespace}/${id.serviceAccount ?? ''}`];
  } catch {
    return [principal];
  }
}

/** The worst comes first: no keys at all, then old ones. */
function keyProblem({ spec }: RequestAuthentication, known: Referable): Resolution | null {
  const all = spec.jwtRules.flatMap((rule) => problemOfRule(rule, known) ?? []);
  return all.find(({ reason }) => reason === 'JwksUnavailable') ?? all[0] ?? null;
}

function problemOfRule(rule: JwtRule, known: Referable): Resolution | null {
  const start = `issuer ${rule.issuer}:`;
  if (rule.jwks !== undefined) return inlineProblem(rule.jwks, start);
  const source = keySourceOf(rule);
  if (source === null) return problem('JwksUnavailable', `${start} the issuer is no address where keys could be discovered; add jwksUri or jwks`);
  const state = known.keys(source);
  if (state?.failure == null) return null;
  if (state.fetchedAt === null) return problem('JwksUnavailable', `${start} there are no keys, so its tokens are refused: ${state.failure}`);
  // An age would change by itself, and each change would be a write; the time does not.
  return problem('JwksStale', `${start} keys of ${iso(state.fetchedAt)} stay in use, because newer ones cannot be fetched: ${state.failure}`);
}

function inlineProblem(jwks: string, start: string): Resolution | null {
  try {
    readKeySet(jwks);
    return null;
  } catch (error) {
    if (!(error instanceof KeySetError)) throw error;
    return problem('JwksUnavailable', `${start} jwks ${error.message}`);
  }
}

function resolvedKeys({ spec }: RequestAuthentication, known: Referable): Resolution {
  const sources = spec.jwtRules.flatMap((rule) => keySourceOf(rule) ?? []);
  const times = sources.map((source) => known.keys(source)?.fetchedAt ?? null);
  if (times.includes(null)) return { status: 'Unknown', reason: 'Pending', message: 'its keys are being fetched' };
  const oldest = times.reduce<number>((low, time) => Math.min(low, time ?? low), Number.POSITIVE_INFINITY);
  return times.length === 0 ? RESOLVED : { ...RESOLVED, message: `all that it names exists; its oldest keys were fetched at ${iso(oldest)}` };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
