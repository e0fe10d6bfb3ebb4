import { type Condition, DERIVED_ANNOTATION, type Resource, type Status, type TrafficPolicy } from '@sallyport/shared/resources';
import type { CaCondition } from '../ca/controller.ts';
import type { FederationState } from '../federation/controller.ts';
import type { Programming } from '../push/hub.ts';
import { targetsOf } from '../push/traffic.ts';
import { type Referable, resolve } from './references.ts';

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The status of an object that proxies run: Gateway API's Accepted, ResolvedRefs and Programmed. */
export function policyStatus(object: Resource, known: Referable, progress: Programming, now: number): Status {
  const verdicts = [accepted(object, known), resolvedRefs(object, known), programmed(object, progress)];
  return {
    ...statusOf(object, verdicts, now),
    proxies: { target: progress.targets.length, acked: progress.acked.length, nacked: progress.nacked.length, ...(progress.pending.length > 0 ? { pending: [...progress.pending] } : {}) },
  };
}

/** The status of an object that only the operator reads. */
export function plainStatus(object: Resource, known: Referable, ca: CaCondition, now: number): Status {
  if (object.kind === 'ExpectedGraph') return statusOf(object, [accepted(object, known), resolvedRefs(object, known)], now);
  return statusOf(object, [accepted(object, known), { type: 'CertificateAuthority', ...ca }], now);
}

/** The status of a federation: whether it is taken up, and how old its bundle is. */
export function federationStatus(object: Resource, known: Referable, state: FederationState, now: number): Status {
  const taken: Verdict = state.refused === null ? accepted(object, known) : { type: 'Accepted', status: 'False', reason: 'TrustDomainTaken', message: state.refused };
  return statusOf(object, [taken, { type: 'BundleFetched', ...bundleVerdict(state) }], now);
}

function bundleVerdict({ refused, fetchedAt, usable, failure }: FederationState): Omit<Verdict, 'type'> {
  if (refused !== null) return { status: 'False', reason: 'NotAccepted', message: 'nothing is fetched for this object' };
  if (failure !== null && !usable) return { status: 'False', reason: 'BundleUnavailable', message: `there is no bundle, so nobody of that trust domain is believed: ${failure}` };
  const since = fetchedAt === null ? 'the bundle of this object' : `the bundle of ${new Date(fetchedAt).toISOString()}`;
  if (failure !== null) return { status: 'False', reason: 'BundleStale', message: `${since} stays in use, because a newer one cannot be fetched: ${failure}` };
  if (fetchedAt === null) return { status: 'Unknown', reason: 'Pending', message: 'the first fetch has not ended' };
  return { status: 'True', reason: 'BundleFetched', message: 'the bundle is in use and kept fresh by its hint' };
}

function statusOf(object: Resource, verdicts: readonly Verdict[], now: number): Status {
  const observedGeneration = object.metadata.generation ?? 0;
  const lastTransitionTime = new Date(now).toISOString();
  return { observedGeneration, conditions: verdicts.map((verdict) => ({ ...verdict, observedGeneration, lastTransitionTime })) };
}

/** What is stored passed its schema; what would not is refused before it is stored. */
function accepted(object: Resource, known: Referable): Verdict {
  const conflict = object.kind === 'TrafficPolicy' ? conflictOf(object, known) : null;
  return conflict ?? { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the object is valid' };
}

/** GEP-713: a policy that lost to an older one is told so by `Accepted: False` with the reason `Conflicted`. */
function conflictOf(policy: TrafficPolicy, { trafficRulers }: Referable): Verdict | null {
  const targets = targetsOf(policy);
  const lost = targets.flatMap((service) => {
    const ruler = trafficRulers.get(service)?.metadata;
    return ruler === undefined || ruler.name === policy.metadata.name ? [] : [`${service} is ruled by the older policy ${ruler.namespace ?? ''}/${ruler.name}`];
  });
  if (lost.length === 0) return null;
  const all = lost.length === targets.length;
  return { type: 'Accepted', status: all ? 'False' : 'True', reason: all ? 'Conflicted' : 'PartiallyConflicted', message: lost.join('; ') };
}

function resolvedRefs(object: Resource, known: Referable): Verdict {
  return { type: 'ResolvedRefs', ...resolve(object, known) };
}

function programmed(object: Resource, progress: Programming): Verdict {
  const type = 'Programmed';
  const { targets, acked, pending, nacked } = progress;
  if (object.kind === 'Workload' && object.spec.proxy === undefined) return { type, status: 'False', reason: 'OutsideMesh', message: `no proxy serves it: ${object.metadata.annotations?.[DERIVED_ANNOTATION.outside] ?? 'enroll it to bring it into the mesh'}` };
  if (targets.length === 0) return { type, status: 'False', reason: 'NoMatchingWorkloads', message: 'it bears on no workload that a proxy serves' };
  const refusal = nacked[0];
  if (refusal) return { type, status: 'False', reason: 'Refused', message: `proxy ${refusal.proxy} refused it and runs its last good configuration: ${refusal.message}` };
  if (pending.length > 0) return { type, status: 'Unknown', reason: 'Pending', message: `${acked.length} of ${targets.length} proxies run it; not confirmed by ${pending.join(', ')}` };
  return { type, status: 'True', reason: 'Programmed', message: `all ${targets.length} proxies run it` };
}
