import { type Kind, parseResource, type Resource, type ResourceOf, type Status } from '@sallyport/shared/resources';
import { stringify } from 'yaml';
import type { AnswerSchema } from './request.ts';

export type Policy = ResourceOf<'AuthorizationPolicy'>;

/** Checks an answer of `GET /resources/KIND/…`, so that a view never shows a guess. */
export function resourceSchema<K extends Kind>(kind: K): AnswerSchema<Extract<Resource, { kind: K }>> {
  const isOfKind = (resource: Resource): resource is Extract<Resource, { kind: K }> => resource.kind === kind;
  return {
    safeParse(value) {
      try {
        const resource = parseResource(value);
        if (isOfKind(resource)) return { success: true, data: resource };
        return { success: false, error: { issues: [{ path: ['kind'], message: `is not ${kind}` }] } };
      } catch (error) {
        return { success: false, error: { issues: [{ path: [], message: error instanceof Error ? error.message : 'is not a resource' }] } };
      }
    },
  };
}

export const policySchema = resourceSchema('AuthorizationPolicy');

/** `namespace/name`, or the name alone where the kind has no namespaces. */
export function idOf({ metadata: { namespace, name } }: Pick<Resource, 'metadata'>): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

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
/** No proxy runs a federation: the operator fetches for it. */
const EXPECTED_OF_FEDERATION = ['Accepted', 'BundleFetched'] as const;

/**
 * The expected conditions, whether reported or not. One that is missing, or was observed on an older generation
 * than the object's, is `Unknown`: it says nothing about what is stored now.
 */
export function conditionsOf(resource: { kind?: string; metadata: { generation?: number | undefined }; status?: Status | undefined }): ConditionView[] {
  const { generation } = resource.metadata;
  const expected = resource.kind === 'FederatedTrustDomain' ? EXPECTED_OF_FEDERATION : EXPECTED;
  return expected.map((type) => {
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
export function toYaml(resource: Resource): string {
  const { managedFields: _managed, ...metadata } = resource.metadata;
  return stringify({ ...resource, metadata }, { lineWidth: 0 });
}
