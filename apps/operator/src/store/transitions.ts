import type { Condition, Status } from '@sallyport/shared/resources';

/** Keeps `lastTransitionTime` of conditions whose status did not change, as the convention demands. */
export function carryTransitions(previous: Status | null, next: Status): Status {
  const old = new Map((previous?.conditions ?? []).map((c): [string, Condition] => [c.type, c]));
  const conditions = next.conditions?.map((condition) => {
    const before = old.get(condition.type);
    return before?.status === condition.status ? { ...condition, lastTransitionTime: before.lastTransitionTime } : condition;
  });
  return conditions ? { ...next, conditions } : next;
}
