'use client';
import { resourceList } from '@sallyport/shared/api';
import { workloadsOf, type WorkloadChoice } from './workloads.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';

/** The registered workloads, to choose from; none until they are known. */
export function useWorkloads(): readonly WorkloadChoice[] {
  const list = useView(apiPaths.resources('Workload'), resourceList, { refreshMs: 60_000 });
  return workloadsOf(list.data?.items ?? []);
}
