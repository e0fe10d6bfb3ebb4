import { detectSignals, type Weakening } from '@sallyport/shared/signals';
import { effectiveMtls } from '@sallyport/shared/policy';
import { readDenies, readEdgesSeen } from '../history/flows.ts';
import { auditBetween } from '../history/audit.ts';
import { presentCertificates } from '../history/certificates.ts';
import { reconcileSignals } from '../history/signals.ts';
import { compileFor } from '../observe/modes.ts';
import { observe, type Sources } from '../observe/observation.ts';
import { suppliedElsewhere } from '../observe/views/certificates.ts';
import { storedPolicies } from '../observe/views/strict.ts';
import { weakeningOf } from './weakening.ts';

/** The rules look at minutes; a longer window would be summed anew every few seconds for nothing. */
const FLOWS_MS = 30 * 60_000;
const DENY_MS = 15 * 60_000;
const MAX_DENIES = 5_000;
const WEAKENING_MS = 3_600_000;

/** Runs every detector over what is stored and brings the stored signals in line. @returns true when any opened or closed */
export async function reconcileDetections(sources: Sources): Promise<boolean> {
  const observation = await observe(sources, FLOWS_MS);
  const { now, mesh, flows, proxies } = observation;
  const [denies, firstSeen, certificates, weakenings] = await Promise.all([
    readDenies(sources.database, { from: now - DENY_MS, to: now + 1 }, MAX_DENIES),
    readEdgesSeen(sources.database),
    presentCertificates(sources.database, suppliedElsewhere(sources)),
    recentWeakenings(sources, now),
  ]);
  const serving = new Set(mesh.workloads.map((workload) => workload.proxy));
  const detected = detectSignals({
    now, mesh, flows, firstSeen, weakenings,
    denies: denies.items,
    proxies: proxies.filter((proxy) => serving.has(proxy.name)),
    modes: modeReader(sources, observation),
    svids: certificates
      .filter((row) => row.workload === null ? serving.has(row.proxy) : mesh.workloads.some((item) => item.namespace === row.namespace && item.name === row.workload && item.proxy === row.proxy))
      .map((row) => ({ spiffeId: row.spiffeId, proxy: row.proxy, notBefore: row.issuedAt.getTime(), notAfter: row.notAfter.getTime() })),
  });
  return reconcileSignals(sources.database, detected, now);
}

async function recentWeakenings(sources: Sources, now: number): Promise<Weakening[]> {
  const entries = await auditBetween(sources.database, new Date(now - WEAKENING_MS), new Date(now + 1));
  return entries.flatMap((entry) => weakeningOf(entry) ?? []);
}

/** Effective mode of a port and since when: the last write of the object that sets it. */
function modeReader(sources: Sources, observation: Awaited<ReturnType<typeof observe>>) {
  const policies = storedPolicies(sources);
  const byName = new Map(observation.mesh.workloads.map((workload) => [`${workload.namespace}/${workload.name}`, workload]));
  return (namespace: string, name: string, port: number) => {
    const workload = byName.get(`${namespace}/${name}`);
    if (!workload) return null;
    const effective = effectiveMtls(compileFor(workload, policies), port);
    const setter = policies.peerAuthentications.find((item) => `${item.metadata.namespace ?? ''}/${item.metadata.name}` === effective.policy);
    const times = (setter?.metadata.managedFields ?? []).map((claim) => Date.parse(claim.time));
    return { mode: effective.mode, since: times.length > 0 ? Math.max(...times) : 0 };
  };
}
