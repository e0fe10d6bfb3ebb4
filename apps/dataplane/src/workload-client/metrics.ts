import type { Exposition } from '../telemetry/exposition.ts';
import type { SourceStatus } from './x509-source.ts';

/** How the Workload API that supplies identities stands; nothing when there is none. `now` in milliseconds. */
export function writeSource(to: Exposition, status: SourceStatus | null, now: number): void {
  if (!status) return;
  to.single('sallyport_proxy_workload_api_up', 'gauge', '1 while the Workload API that supplies the SVIDs answers and nothing is wrong with what it gave, else 0.', status.problem === null ? 1 : 0);
  if (status.receivedAt === null) return;
  to.single('sallyport_proxy_workload_api_message_age_seconds', 'gauge', 'Seconds since the last message of the Workload API that was taken; absent before the first.', (now - status.receivedAt) / 1000);
}
