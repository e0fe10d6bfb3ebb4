/** What the token of a pod proved. */
export interface PodEvidence {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly serviceAccount: string;
  /** Null for a pod that no node runs. */
  readonly node: string | null;
}

/** Who can tell which pod a token stands for, and what became of that pod. */
export interface PodAttestor {
  /**
   * Checks a projected token and says whose it is. The token is in no message and kept nowhere.
   *
   * @throws AttestationError 401 with the remedy when it is not good; AttestorAwayError when that cannot be told now
   */
  review(token: string): Promise<PodEvidence>;
  /** Why the pod is no longer what it proved to be; null while it is. */
  departed(evidence: PodEvidence): string | null;
  /** Whether a pod of that service account runs on the node. */
  runsOn(node: string, namespace: string, serviceAccount: string): boolean;
  /** Why a pod of this namespace may not be the proxy of a whole node; null when it may. */
  refusesNode(namespace: string): string | null;
}

/** The name of a pod's proxy. A namespace has no dots, so that the last part is always the namespace. */
export function podProxyName({ pod, namespace }: Pick<PodEvidence, 'pod' | 'namespace'>): string {
  return `${pod}.${namespace}`;
}
