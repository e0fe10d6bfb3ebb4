import { parseResource } from '@sallyport/shared/resources';

/** A workload that can be chosen. */
export interface WorkloadChoice {
  /** `namespace/name`. */
  readonly id: string;
  readonly meshed: boolean;
}

/** Workloads of an answer of the API, by name; what cannot be read is left out. */
export function workloadsOf(items: readonly unknown[]): WorkloadChoice[] {
  return items.flatMap((item): WorkloadChoice[] => {
    try {
      const resource = parseResource(item);
      return resource.kind === 'Workload' ? [{ id: `${resource.metadata.namespace ?? ''}/${resource.metadata.name}`, meshed: resource.spec.proxy !== undefined }] : [];
    } catch {
      return [];
    }
  }).sort((a, b) => a.id.localeCompare(b.id));
}
