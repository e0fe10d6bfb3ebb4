/** Amounts as core/v1 writes them, in their shortest form: `100m`, not `0.1`. The API server would change others. */
export interface ContainerResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** What every proxy of this cluster gets. */
export interface InjectionSettings {
  /** What the `sallyport.dev/injected` annotation says. */
  readonly version: string;
  readonly image: string;
  /** Holds `sallyport-redirect` with nft or iptables; may be the same. */
  readonly redirectImage: string;
  /** Who puts the redirect rules in place: a container of the pod, or the node before the pod runs (a CNI plugin). */
  readonly redirect: 'container' | 'node';
  /** KEP-753: whether init containers with `restartPolicy: Always` start before, and end after, the application. */
  readonly native: boolean;
  readonly trustDomain: string;
  readonly joinUrl: string;
  readonly streamUrl: string;
  /** The operator's roots in PEM. */
  readonly roots: readonly string[];
  readonly resources: ContainerResources;
}

/** Why a pod of an opted-in namespace cannot have a proxy; the message holds the remedy. */
export class RefusedPodError extends Error {
  override readonly name = 'RefusedPodError';
}
