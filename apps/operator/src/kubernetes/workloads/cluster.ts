import { canonicalJson } from '@sallyport/shared/mesh';
import type { Service, Workload } from '@sallyport/shared/resources';
import type { PodBook } from '../attestation/token-review.ts';
import type { KubeClient } from '../client.ts';
import type { KubeObject } from '../list-watch.ts';
import { deriveNamespace } from './derive.ts';
import { Followed } from './followed.ts';
import { type EndpointSlice, endpointSliceObject, type KubeService, type Namespace, namespaceObject, type Pod, podObject, serviceObject } from './objects.ts';

/** A rollout changes many pods at once: one derivation is made of what comes together. */
const DEBOUNCE_MS = 50;
const BY_NAMESPACE = 'namespace';
const BY_NODE = 'node';
const namespaced = { [BY_NAMESPACE]: ({ metadata }: KubeObject) => [metadata.namespace ?? ''] };
function nodeOf(object: KubeObject): string[] {
  const { spec } = object as { spec?: { nodeName?: string } };
  return spec?.nodeName === undefined ? [] : [spec.nodeName];
}

export type Derived = Workload | Service;
export interface DerivedChange {
  readonly type: 'Added' | 'Modified' | 'Deleted';
  readonly object: Derived;
}

/** What the pods and services of a cluster are as workloads and services of the mesh, kept up to date. */
export class ClusterWorkloads implements PodBook {
  /** Resolves when everything that the cluster had at the start is known. */
  readonly synced: Promise<void>;
  readonly #pods: Followed<Pod>;
  readonly #services: Followed<KubeService>;
  readonly #slices: Followed<EndpointSlice>;
  readonly #namespaces: Followed<Namespace>;
  readonly #derived = new Map<string, ReadonlyMap<string, Derived>>();
  readonly #listeners = new Set<(change: DerivedChange) => void>();
  readonly #dirty = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  constructor(client: KubeClient, trouble: (error: unknown) => void) {
    const common = { client, trouble, onChange: (key: string) => this.#touched(key.split('/')[0] ?? '') };
    this.#pods = new Followed({ ...common, path: '/api/v1/pods', schema: podObject, indexes: { ...namespaced, [BY_NODE]: nodeOf } });
    this.#services = new Followed({ ...common, path: '/api/v1/services', schema: serviceObject, indexes: namespaced });
    this.#slices = new Followed({ ...common, path: '/apis/discovery.k8s.io/v1/endpointslices', schema: endpointSliceObject, indexes: namespaced });
    this.#namespaces = new Followed({ ...common, path: '/api/v1/namespaces', schema: namespaceObject });
    this.synced = Promise.all(this.#followed.map(({ synced }) => synced)).then(() => this.#derive());
  }

  get #followed() {
    return [this.#pods, this.#services, this.#slices, this.#namespaces];
  }

  /** Calls back for each derived object that changed. @returns what ends it */
  onChange(listener: (change: DerivedChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Derived objects, of one namespace or of all. */
  all(namespace?: string): Derived[] {
    if (namespace !== undefined) return [...(this.#derived.get(namespace)?.values() ?? [])];
    return [...this.#derived.values()].flatMap((objects) => [...objects.values()]);
  }

  get(kind: Derived['kind'], namespace: string, name: string): Derived | null {
    return this.#derived.get(namespace)?.get(`${kind}/${name}`) ?? null;
  }

  pod(namespace: string, name: string): Pod | null {
    return this.#pods.get(`${namespace}/${name}`);
  }

  onNode(node: string): Pod[] {
    return this.#pods.by(BY_NODE, node);
  }

  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    await Promise.all(this.#followed.map((one) => one.stop()));
  }

  /** A namespace's own key is its name, and what is in it begins with that. */
  #touched(namespace: string): void {
    this.#dirty.add(namespace);
    // Before all is known, pods would be derived without their services.
    if (!this.#followed.every(({ hasSynced }) => hasSynced)) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#derive();
    }, DEBOUNCE_MS);
  }

  #derive(): void {
    const namespaces = [...this.#dirty];
    this.#dirty.clear();
    for (const namespace of namespaces) this.#replace(namespace, this.#deriveOne(namespace));
  }

  #deriveOne(namespace: string): Map<string, Derived> {
    const { workloads, services } = deriveNamespace({
      namespace: this.#namespaces.get(namespace),
      pods: this.#pods.by(BY_NAMESPACE, namespace),
      services: this.#services.by(BY_NAMESPACE, namespace),
      slices: this.#slices.by(BY_NAMESPACE, namespace),
    });
    return new Map([...workloads, ...services].map((object) => [`${object.kind}/${object.metadata.name}`, object]));
  }

  #replace(namespace: string, next: ReadonlyMap<string, Derived>): void {
    const before = this.#derived.get(namespace) ?? new Map<string, Derived>();
    if (next.size === 0) this.#derived.delete(namespace);
    else this.#derived.set(namespace, next);
    for (const [key, object] of before) if (!next.has(key)) this.#tell({ type: 'Deleted', object });
    for (const [key, object] of next) {
      const old = before.get(key);
      if (old === undefined) this.#tell({ type: 'Added', object });
      else if (contentOf(old) !== contentOf(object)) this.#tell({ type: 'Modified', object });
    }
  }

  #tell(change: DerivedChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Without the version, which changes with everything that does not bear on us. */
function contentOf({ metadata: { resourceVersion: _version, ...metadata }, ...rest }: Derived): string {
  return canonicalJson({ ...rest, metadata });
}
