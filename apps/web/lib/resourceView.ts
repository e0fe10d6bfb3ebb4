import { parseResource, type ResourceOf, type Status } from '@sallyport/shared/resources';
import { stringify } from 'yaml';
import type { AnswerSchema } from './request.ts';

export type Policy = ResourceOf<'AuthorizationPolicy'>;

/** Checks an answer of `GET /resources/AuthorizationPolicy/…`, so that a view never shows a guess. */
export const policySchema: AnswerSchema<Policy> = {
  safeParse(value) {
    try {
      const resource = parseResource(value);
      if (resource.kind === 'AuthorizationPolicy') return { success: true, data: resource };
      return { success: false, error: { issues: [{ path: ['kind'], message: 'is not AuthorizationPolicy' }] } };
    } catch (error) {
      return { success: false, error: { issues: [{ path: [], message: error instanceof Error ? error.message : 'is not a resource' }] } };
    }
  },
};

export interface ConditionView {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** Since when; null when it was never reported for what is stored now. */
  readonly since: string | null;
}

/** The conditions that every policy is expected to reach, in the order in which it reaches them. */
const EXPECTED = ['Accepted', 'ResolvedRefs', 'Programmed'] as const;

/**
 * The three expected conditions, whether reported or not. One that is missing, or was observed on an older generation
 * than the object's, is `Unknown`: it says nothing about what is stored now.
 */
export function conditionsOf(resource: { metadata: { generation?: number | undefined }; status?: Status | undefined }): ConditionView[] {
  const { generation } = resource.metadata;
  return EXPECTED.map((type) => {
    const found = resource.status?.conditions?.find((condition) => condition.type === type);
    if (!found) return unknown(type, 'NotReported', 'The operator has not reported this condition yet.');
    if (generation !== undefined && found.observedGeneration < generation) {
      return unknown(type, 'Outdated', `Last reported for generation ${found.observedGeneration}; the object is at ${generation}.`);
    }
    return { type, status: found.status, reason: found.reason, message: found.message, since: found.lastTransitionTime };
  });
}

function unknown(type: string, reason: string, message: string): ConditionView {
  return { type, status: 'Unknown', reason, message, since: null };
}

/** True once the present generation runs on every proxy that it concerns. */
export function isProgrammed(resource: Parameters<typeof conditionsOf>[0]): boolean {
  return conditionsOf(resource).every((condition) => condition.status === 'True');
}

/** A resource as YAML, without the bookkeeping that nobody edits. */
export function toYaml(resource: Policy): string {
  const { managedFields: _managed, ...metadata } = resource.metadata;
  return stringify({ ...resource, metadata }, { lineWidth: 0 });
}
