import { parseSpiffeId } from '@sallyport/shared/mesh';
import type { AuthorizationPolicy, Condition, Resource, Status } from '@sallyport/shared/resources';
import type { Programming } from '../push/hub.ts';

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Identities that exist, as `namespace/serviceAccount`. */
export type Accounts = ReadonlySet<string>;

/** The status of an object that proxies run: Gateway API's Accepted, ResolvedRefs and Programmed. */
export function policyStatus(object: Resource, accounts: Accounts, progress: Programming, now: number): Status {
  const verdicts = [accepted(), resolvedRefs(object, accounts), programmed(object, progress)];
  return {
    ...statusOf(object, verdicts, now),
    proxies: { target: progress.targets.length, acked: progress.acked.length, nacked: progress.nacked.length, ...(progress.pending.length > 0 ? { pending: [...progress.pending] } : {}) },
  };
}

/** The status of an object that only the operator reads. */
export function plainStatus(object: Resource, accounts: Accounts, now: number): Status {
  const verdicts = object.kind === 'ExpectedGraph' ? [accepted(), resolvedRefs(object, accounts)] : [accepted()];
  return statusOf(object, verdicts, now);
}

function statusOf(object: Resource, verdicts: readonly Verdict[], now: number): Status {
  const observedGeneration = object.metadata.generation ?? 0;
  const lastTransitionTime = new Date(now).toISOString();
  return { observedGeneration, conditions: verdicts.map((verdict) => ({ ...verdict, observedGeneration, lastTransitionTime })) };
}

/** What is stored passed its schema; what would not is refused before it is stored. */
function accepted(): Verdict {
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the object is valid' };
}

/** A principal that nobody holds is most likely a typo, and an ALLOW rule with it admits nobody. */
function resolvedRefs(object: Resource, accounts: Accounts): Verdict {
  const missing = referencedAccounts(object).filter((account) => !accounts.has(account));
  if (missing.length === 0) return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'all named identities exist' };
  const list = [...new Set(missing)].sort();
  const shown = list.slice(0, 5).join(', ');
  return { type: 'ResolvedRefs', status: 'False', reason: 'UnknownServiceAccount', message: `no workload has service account ${shown}${list.length > 5 ? ` and ${list.length - 5} more` : ''}` };
}

function referencedAccounts(object: Resource): string[] {
  const namespace = object.metadata.namespace ?? '';
  if (object.kind === 'ExpectedGraph') return object.spec.edges.map(({ from }) => `${from.namespace ?? namespace}/${from.serviceAccount}`);
  if (object.kind !== 'AuthorizationPolicy') return [];
  return ruleSources(object).flatMap((source) => [
    ...(source.principals ?? []).flatMap(accountOf),
    ...(source.serviceAccounts ?? []).map((account) => (account.includes('/') ? account : `${namespace}/${account}`)),
  ]);
}

function ruleSources(policy: AuthorizationPolicy) {
  return (policy.spec.rules ?? []).flatMap((rule) => (rule.from ?? []).map((entry) => entry.source));
}

function accountOf(principal: string): string[] {
  if (principal.includes('*')) return [];
  try {
    const id = parseSpiffeId(principal.startsWith('spiffe://') ? principal : `spiffe://${principal}`);
    return [id.namespace === null ? principal : `${id.namespace}/${id.serviceAccount ?? ''}`];
  } catch {
    return [principal];
  }
}

function programmed(object: Resource, progress: Programming): Verdict {
  const type = 'Programmed';
  const { targets, acked, pending, nacked } = progress;
  if (object.kind === 'Workload' && object.spec.proxy === undefined) return { type, status: 'False', reason: 'OutsideMesh', message: 'no proxy serves it; enroll it to bring it into the mesh' };
  if (targets.length === 0) return { type, status: 'False', reason: 'NoMatchingWorkloads', message: 'it bears on no workload that a proxy serves' };
  const refusal = nacked[0];
  if (refusal) return { type, status: 'False', reason: 'Refused', message: `proxy ${refusal.proxy} refused it and runs its last good configuration: ${refusal.message}` };
  if (pending.length > 0) return { type, status: 'Unknown', reason: 'Pending', message: `${acked.length} of ${targets.length} proxies run it; not confirmed by ${pending.join(', ')}` };
  return { type, status: 'True', reason: 'Programmed', message: `all ${targets.length} proxies run it` };
}
