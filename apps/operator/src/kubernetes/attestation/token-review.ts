import { TOKEN_AUDIENCE } from '@sallyport/shared/push';
import { z } from 'zod';
import type { PodAttestor, PodEvidence } from '../../ca/attestation.ts';
import { AttestationError, AttestorAwayError } from '../../ca/refusals.ts';
import { type KubeClient, KubeError } from '../client.ts';
import { isCompleted, type Pod, podObject } from '../workloads/objects.ts';
import { refusalOf } from './refusal.ts';

const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews';
const EXTRA = 'authentication.kubernetes.io/';

const values = z.array(z.string()).min(1).transform(([first = '']) => first).optional();
const review = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z.object({
      username: z.string().default(''),
      extra: z.object({ [`${EXTRA}pod-name`]: values, [`${EXTRA}pod-uid`]: values, [`${EXTRA}node-name`]: values }).default({}),
    }).default({ username: '', extra: {} }),
  }),
});
type Status = z.infer<typeof review>['status'];

/** The pods of the cluster, as they were last seen. */
export interface PodBook {
  pod(namespace: string, name: string): Pod | null;
  onNode(node: string): Iterable<Pod>;
}

interface ReviewerOptions {
  readonly client: KubeClient;
  readonly pods: PodBook;
  /** The operator's own: proxies of whole nodes run there and nowhere else. */
  readonly namespace: string;
  readonly now: () => number;
}

/**
 * Attests pods by their projected service account tokens (KEP-1205, KEP-1687): the API server checks signature, expiry, audience
 * and that pod and account still are those to which the token was bound; what it says of the pod is compared with the pods seen.
 */
export class TokenReviewer implements PodAttestor {
  readonly #options: ReviewerOptions;

  constructor(options: ReviewerOptions) {
    this.#options = options;
  }

  async review(token: string): Promise<PodEvidence> {
    const status = await this.#ask(token);
    // TokenReview: an authenticator that knows no audiences says "authenticated" and names none; such an answer says nothing.
    if (!status.authenticated || !status.audiences.includes(TOKEN_AUDIENCE)) throw new AttestationError(401, refusalOf(token, this.#options.now()));
    const claimed = claimedBy(status);
    if (claimed === null) throw new AttestationError(401, refusalOf(token, this.#options.now()));
    // The API server remembers for some seconds that it found a token good; and a pod that is new may not have been seen yet.
    const pod = this.#options.pods.pod(claimed.namespace, claimed.pod) ?? (await this.#asked(claimed.namespace, claimed.pod));
    const evidence = { ...claimed, node: claimed.node ?? pod?.spec.nodeName ?? null };
    const departed = departedFrom(pod, evidence);
    if (departed !== null) throw new AttestationError(401, departed);
    return evidence;
  }

  departed(evidence: PodEvidence): string | null {
    return departedFrom(this.#options.pods.pod(evidence.namespace, evidence.pod), evidence);
  }

  runsOn(node: string, namespace: string, serviceAccount: string): boolean {
    for (const pod of this.#options.pods.onNode(node)) {
      if (pod.metadata.namespace === namespace && pod.spec.serviceAccountName === serviceAccount && !isCompleted(pod)) return true;
    }
    return false;
  }

  refusesNode(namespace: string): string | null {
    const own = this.#options.namespace;
    return namespace === own ? null : `a proxy of role node runs in namespace ${own}, not in ${namespace}; set SALLYPORT_ROLE=sidecar`;
  }

  async #ask(token: string): Promise<Status> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [TOKEN_AUDIENCE] } };
    const answer = await this.#options.client.request({ method: 'POST', path: REVIEWS, body }).catch(away);
    const parsed = review.safeParse(answer);
    if (!parsed.success) throw new AttestorAwayError('the API server answered a token review with something else; retry');
    return parsed.data.status;
  }

  async #asked(namespace: string, name: string): Promise<Pod | null> {
    const answer = await this.#options.client.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}/pods/${name}` }).catch((error: unknown) => (error instanceof KubeError && error.status === 404 ? null : away(error)));
    return podObject.safeParse(answer).data ?? null;
  }
}

/** Its words might quote what was sent; ours do not. */
function away(error: unknown): never {
  if (!(error instanceof KubeError)) throw error;
  if (error.status === 401 || error.status === 403) throw new AttestorAwayError('the operator may not review tokens or read pods; bind its service account to ClusterRole system:auth-delegator, and let it get pods');
  throw new AttestorAwayError(`the API server does not review tokens now (HTTP ${error.status}); retry`);
}

function departedFrom(seen: Pod | null, { namespace, pod, uid, node }: PodEvidence): string | null {
  const name = `pod ${namespace}/${pod}`;
  if (seen === null) return `${name} is not in the cluster any more; a proxy lives as long as its pod`;
  if (seen.metadata.uid !== uid) return `${name} was made anew since this proxy attested; attest by the token of the new pod (SALLYPORT_TOKEN_FILE)`;
  if (isCompleted(seen)) return `${name} has ended; its workload needs no identity`;
  if (node !== null && seen.spec.nodeName !== undefined && seen.spec.nodeName !== node) return `${name} runs on node ${seen.spec.nodeName}, and this proxy attested on ${node}; attest again`;
  return null;
}

/** Whose token it is; null when it is of no pod. Servers older than 1.32 do not say the node: then the pod does. */
function claimedBy({ user }: Status): PodEvidence | null {
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user.username);
  const { [`${EXTRA}pod-name`]: pod, [`${EXTRA}pod-uid`]: uid, [`${EXTRA}node-name`]: node } = user.extra;
  const [, namespace, serviceAccount] = account ?? [];
  if (namespace === undefined || serviceAccount === undefined || pod === undefined || uid === undefined) return null;
  return { namespace, pod, uid, serviceAccount, node: node ?? null };
}
