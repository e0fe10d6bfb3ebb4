import type { Resource, TrafficPolicySpec } from '@sallyport/shared/resources';
import { plural } from '../../lib/format.ts';
import { resourceSchema } from '../../lib/resourceView.ts';

/** Kinds that the page of policies lists beside authorization, by its tab. */
export const LISTED = {
  authentication: [
    { kind: 'PeerAuthentication', title: 'Peer authentication: mTLS modes', empty: 'There is none here: every port takes mTLS and plaintext (PERMISSIVE).' },
    { kind: 'RequestAuthentication', title: 'Request authentication: end users’ tokens', empty: 'There is none here: no proxy verifies end users’ tokens.' },
  ],
  traffic: [{ kind: 'TrafficPolicy', title: 'Traffic policies: how calls are carried', empty: 'There is none here: calls go to the less loaded endpoint, without a limit of time.' }],
  federation: [{ kind: 'FederatedTrustDomain', title: 'Federated trust domains: whose identities are believed', empty: 'There is none: only identities of this mesh’s own trust domain are believed.' }],
} as const;

export type ListedTab = keyof typeof LISTED;
type ListedEntry = (typeof LISTED)[ListedTab][number];
export type ListedKind = ListedEntry['kind'];
export type Listed = Extract<Resource, { kind: ListedKind }>;

/** True for the name of a kind that the page lists. */
export function isListedKind(name: string): name is ListedKind {
  return Object.values(LISTED).some((entries) => entries.some(({ kind }) => kind === name));
}

/** Objects of an answer of the API, and how many of it this console cannot read. */
export function listedOf(kind: ListedKind, items: readonly unknown[]): { readonly objects: readonly Listed[]; readonly unreadable: number } {
  const schema = resourceSchema(kind);
  const objects = items.flatMap((item): Listed[] => {
    const read = schema.safeParse(item);
    return read.success ? [read.data] : [];
  });
  return { objects, unreadable: items.length - objects.length };
}

/** What the object says, in words: the mode, whose tokens, what it rules of calls, or whose identities and how they are fetched. */
export function saysOf(object: Listed): string {
  if (object.kind === 'TrafficPolicy') return trafficText(object.spec);
  if (object.kind === 'FederatedTrustDomain') return `${object.spec.trustDomain} from ${object.spec.bundleEndpointURL} (${object.spec.bundleEndpointProfile.type})`;
  if (object.kind === 'RequestAuthentication') {
    const issuers = (object.spec.jwtRules ?? []).map((rule) => rule.issuer);
    return issuers.length === 0 ? 'no issuer: no token is verified' : `verifies tokens of ${issuers.join(', ')}`;
  }
  const ports = Object.entries(object.spec.portLevelMtls ?? {}).map(([port, { mode }]) => `port ${port} ${mode ?? 'UNSET'}`);
  return ['mTLS ' + (object.spec.mtls?.mode ?? 'UNSET: inherited'), ...ports].join(', ');
}

function trafficText(spec: TrafficPolicySpec): string {
  const { timeouts, retry, backendRefs, requestMirror, fault, loadBalancer, circuitBreaker, outlierDetection } = spec;
  const parts = [
    timeouts && `timeout ${[timeouts.request, timeouts.backendRequest && `${timeouts.backendRequest} an attempt`].filter(Boolean).join(', ')}`,
    retry && 'retries',
    backendRefs && `divided among ${backendRefs.map(({ name, weight }) => `${name} (${weight})`).join(', ')}`,
    requestMirror && `copies to ${requestMirror.backendRef.name}`,
    fault && `faults: ${[fault.delay && 'delay', fault.abort && 'abort'].filter(Boolean).join(', ')}`,
    loadBalancer && `balanced by ${loadBalancer.type}`,
    circuitBreaker && plural(Object.keys(circuitBreaker).length, 'limit'),
    outlierDetection && 'failing endpoints are left out',
  ];
  return parts.filter(Boolean).join('; ') || 'nothing';
}

/** What an object bears on, in words. */
export function scopeOf(object: Listed): string {
  if (object.kind === 'FederatedTrustDomain') return 'whole mesh';
  const { spec } = object;
  const labels = Object.entries(('selector' in spec && spec.selector?.matchLabels) || {});
  if (labels.length > 0) return labels.map(([key, value]) => `${key}=${value}`).join(', ');
  const refs = 'targetRefs' in spec ? (spec.targetRefs ?? []) : [];
  return refs.length > 0 ? refs.map((ref) => `${ref.kind} ${ref.name}`).join(', ') : 'whole namespace';
}
