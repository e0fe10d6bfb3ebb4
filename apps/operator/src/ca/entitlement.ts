import { workloadSpiffeId } from '@sallyport/shared/mesh';
import type { Workload } from '@sallyport/shared/resources';
import type { Proxy } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';
import { type PodAttestor, type PodEvidence, podProxyName } from './attestation.ts';
import { AttestationError } from './refusals.ts';

interface EntitlementOptions {
  readonly database: Database;
  readonly workload: (namespace: string, name: string) => Workload | null;
  readonly trustDomain: string;
  /** Null where there is no Kubernetes. */
  readonly pods: PodAttestor | null;
}

/** A proxy that is enrolled. */
export interface EnrolledProxy {
  readonly name: string;
  readonly role: string;
  /** Null for one that joined by a join token. */
  readonly evidence: PodEvidence | null;
}

/** Which identities an enrolled proxy may have. */
export class Entitlement {
  readonly #options: EntitlementOptions;

  constructor(options: EntitlementOptions) {
    this.#options = options;
  }

  /** @throws AttestationError 403 when the proxy is not enrolled, or its pod is not what it attested as */
  async enrolled(name: string): Promise<EnrolledProxy> {
    const row = await this.#options.database.proxy.findUnique({ where: { name } });
    if (!row) throw new AttestationError(403, `proxy ${name} is no longer enrolled`);
    const evidence = evidenceOf(row);
    if (evidence === null) return { name, role: row.role, evidence };
    const departed = this.#options.pods === null ? `${name} attested by its pod, and this operator has no Kubernetes to ask; set SALLYPORT_STORE=kubernetes or enrol it by a join token` : this.#options.pods.departed(evidence);
    if (departed !== null) throw new AttestationError(403, departed);
    return { name, role: row.role, evidence };
  }

  /**
   * The identity of a workload that the proxy serves.
   *
   * @throws AttestationError 403 when it does not serve it, or its pod has no right to that identity
   */
  identityOf(proxy: EnrolledProxy, { namespace, name }: { readonly namespace: string; readonly name: string }): string {
    const workload = this.#options.workload(namespace, name);
    if (workload?.spec.proxy !== proxy.name) throw new AttestationError(403, `workload ${namespace}/${name} is not served by proxy ${proxy.name}`);
    const { serviceAccount } = workload.spec;
    const refusal = proxy.evidence && this.#beyondPod(proxy.role, proxy.evidence, namespace, serviceAccount);
    if (refusal !== null) throw new AttestationError(403, refusal);
    return workloadSpiffeId(this.#options.trustDomain, namespace, serviceAccount);
  }

  /**
   * A resource alone gives no pod another's identity: a sidecar has that of its own pod, and the proxy of a node those of the
   * pods that run there.
   */
  #beyondPod(role: string, evidence: PodEvidence, namespace: string, serviceAccount: string): string | null {
    const identity = `${namespace}/${serviceAccount}`;
    if (role === 'node') {
      const here = evidence.node !== null && this.#options.pods?.runsOn(evidence.node, namespace, serviceAccount) === true;
      return here ? null : `no pod with service account ${identity} runs on node ${evidence.node ?? '(none)'} of this proxy; ask the proxy of the node that runs it`;
    }
    const own = `${evidence.namespace}/${evidence.serviceAccount}`;
    return own === identity ? null : `pod ${evidence.namespace}/${evidence.pod} has service account ${own}, not ${identity}; run the workload in a pod with that service account`;
  }
}

function evidenceOf({ name, podUid, node, serviceAccount }: Proxy): PodEvidence | null {
  if (podUid === null || serviceAccount === null) return null;
  const dot = name.lastIndexOf('.');
  return { pod: name.slice(0, dot), namespace: name.slice(dot + 1), uid: podUid, node, serviceAccount };
}

/** @throws AttestationError 403 when a good token is not this proxy's */
export function checkClaim(evidence: PodEvidence, proxy: string, role: 'node' | 'sidecar', pods: PodAttestor): void {
  const own = podProxyName(evidence);
  if (own !== proxy) throw new AttestationError(403, `the token is that of ${own} on node ${evidence.node ?? '(none)'}, not of ${proxy}; set SALLYPORT_PROXY to <pod>.<namespace> by the downward API, and mount the pod’s own token`);
  const refusal = role === 'node' ? pods.refusesNode(evidence.namespace) : null;
  if (refusal !== null) throw new AttestationError(403, refusal);
}
