import { z } from 'zod';
import { inject, optedOut } from './inject.ts';
import { diff } from './json-patch.ts';
import { podObject } from './pod.ts';
import { type InjectionSettings, RefusedPodError } from './settings.ts';

/** admission.k8s.io/v1: "Individual warning messages may be truncated if too long", from 256 characters on. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 16;

/** admission.k8s.io/v1 AdmissionReview with what this webhook is for, and nothing else. */
const review = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string().min(1).max(128),
    kind: z.looseObject({ group: z.literal(''), version: z.literal('v1'), kind: z.literal('Pod') }),
    subResource: z.literal('').optional(),
    operation: z.literal('CREATE'),
    namespace: z.string().min(1).max(63),
    object: z.looseObject({}),
  }),
});
const podName = z.looseObject({ name: z.string().optional(), generateName: z.string().optional() });
type ReviewRequest = z.infer<typeof review>['request'];

/** The answer to a review, and what it was for people. */
export interface Answered {
  readonly body: object;
  readonly outcome: 'injected' | 'unchanged' | 'left-out' | 'refused';
  readonly pod: string;
  readonly why: string | null;
}

/** A request that is none of this webhook's: the API server then does what its `failurePolicy` says. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError';
}

/**
 * Answers an AdmissionReview about a pod that is being created.
 *
 * @param excluded namespaces that never get proxies, whatever the configuration of the webhook selects
 * @throws ReviewError when it is no such review
 */
export function answerReview(body: unknown, settings: InjectionSettings, excluded: readonly string[]): Answered {
  const parsed = review.safeParse(body);
  if (!parsed.success) throw new ReviewError(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).slice(0, 4).join('; '));
  const { request } = parsed.data;
  if (excluded.includes(request.namespace)) return leftOut(request, `namespace ${request.namespace} has no proxies`);
  try {
    return decide(request, settings);
  } catch (error) {
    if (!(error instanceof RefusedPodError)) throw error;
    return answered(request, 'refused', error.message, { allowed: false, status: { code: 422, reason: 'Invalid', message: `Sallyport: ${error.message}` } });
  }
}

function decide(request: ReviewRequest, settings: InjectionSettings): Answered {
  const pod = podObject.safeParse(request.object);
  if (!pod.success) {
    const [issue] = pod.error.issues;
    throw new RefusedPodError(`the pod could not be read: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  if (optedOut(pod.data)) return leftOut(request, 'left out by its label');
  const { pod: wanted, warnings } = inject(pod.data, settings);
  const operations = diff(request.object, wanted);
  const said = warnings.slice(0, MAX_WARNINGS).map((text) => `Sallyport: ${text}`.slice(0, MAX_WARNING));
  const patch = operations.length === 0 ? {} : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') };
  const auditAnnotations = { injected: settings.version };
  return answered(request, operations.length === 0 ? 'unchanged' : 'injected', null, { allowed: true, ...patch, ...(said.length > 0 ? { warnings: said } : {}), auditAnnotations });
}

function leftOut(request: ReviewRequest, why: string): Answered {
  return answered(request, 'left-out', why, { allowed: true });
}

function answered({ uid, namespace, object }: ReviewRequest, outcome: Answered['outcome'], why: string | null, response: object): Answered {
  const named = podName.safeParse(object['metadata']);
  const name = named.success ? (named.data.name ?? named.data.generateName ?? '') : '';
  const pod = `${namespace}/${name}`.slice(0, MAX_WARNING);
  return { body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...response } }, outcome, pod, why };
}
