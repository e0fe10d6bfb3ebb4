import { certificates, covered, declaredOnly, known, met, mutualShare, proved, recentEvidence, unknown, unmet, workloads } from './assess.ts';
import type { CriterionRule, MaturityInput } from './types.ts';

const tab = (name: string) => (namespace: string) => `/namespaces/${encodeURIComponent(namespace)}?tab=${name}`;
const page = (path: string) => (namespace: string) => `${path}?namespace=${encodeURIComponent(namespace)}`;
const enrolled = (limit: number) => (input: MaturityInput) =>
  workloads(input, 'in the mesh', limit, (workload) => workload.proxy !== null);

/**
 * What each stage asks for: the stages are the guide's ("Maturity stages"), the checks those of audit-evidence.md §5
 * that this version can observe. Conditions outside its sight stay in the table and are indeterminate.
 */
export const CRITERIA: readonly CriterionRule[] = [
  {
    id: 'pilot-enrolled',
    stage: 'Pilot',
    title: 'At least one workload is in the mesh',
    remedy: 'Enrol a workload: sallyport workload enroll NAMESPACE/NAME',
    link: tab('workloads'),
    assess: (input) => {
      const meshed = input.workloads.filter((workload) => workload.proxy !== null).length;
      const found = `${meshed} of ${input.workloads.length} workloads in the mesh`;
      return meshed > 0 ? met(found) : unmet(found);
    },
  },
  {
    id: 'pilot-telemetry',
    stage: 'Pilot',
    title: 'Proxies report at least 80 % of the time',
    remedy: 'Start the silent proxies, or find out why they cannot reach the operator.',
    link: page('/proxies'),
    assess: (input) => covered(input, 0.8),
  },
  {
    id: 'pilot-certificates',
    stage: 'Pilot',
    title: 'Certificates rotate on time',
    remedy: 'Look at the proxies whose certificates are overdue: they cannot reach the CA, or are stopped.',
    link: page('/identities'),
    assess: certificates,
  },
  {
    id: 'pilot-plaintext-known',
    stage: 'Pilot',
    title: 'It is known how every call was protected',
    remedy: 'Bring the missing proxies back; calls that nobody received a report of are of unknown protection.',
    link: page('/graph'),
    assess: (input) => {
      const { mutual, plaintext, unknown: unseen } = input.calls;
      if (mutual + plaintext + unseen === 0) return unknown('no calls in the window');
      if (unseen > 0) return unknown(`${unseen} calls of unknown protection`);
      return proved(input, () => met(`${mutual} mTLS and ${plaintext} plaintext calls, none unknown`));
    },
  },
  {
    id: 'production-strict',
    stage: 'Production',
    title: 'mTLS is strict',
    remedy: 'Plan the step: sallyport strict plan NAMESPACE',
    link: tab('strict'),
    assess: (input) => (input.mode === 'STRICT' ? met('STRICT') : unmet(`mode is ${input.mode}`)),
  },
  {
    id: 'production-mtls',
    stage: 'Production',
    title: 'At least 99.9 % of calls were mutual TLS',
    remedy: 'Enrol the plaintext callers that the strict plan names.',
    link: tab('strict'),
    assess: (input) => mutualShare(input, 0.999),
  },
  {
    id: 'production-identity',
    stage: 'Production',
    title: 'No workload uses the shared default service account',
    remedy: 'Give each workload its own spec.serviceAccount.',
    link: tab('workloads'),
    assess: (input) => workloads(input, 'with an account of their own', 1, (workload) => workload.serviceAccount !== 'default'),
  },
  {
    id: 'production-policy',
    stage: 'Production',
    title: 'Authorization is enforced on at least one workload',
    remedy: 'Write a policy from the calls that were seen: Policies, New.',
    link: page('/policies'),
    assess: (input) => {
      const found = input.workloads.filter((workload) => workload.hasPolicy).length;
      if (input.workloads.length === 0) return unknown('the namespace has no workloads');
      return found > 0 ? met(`${found} workloads under policy`) : unmet('no workload is under an enforced policy');
    },
  },
  {
    id: 'production-clean',
    stage: 'Production',
    title: 'Seven clean days in a row',
    remedy: 'Keep it running without plaintext, gaps or critical signals.',
    link: page('/signals'),
    assess: (input) => {
      if (input.cleanDays === null) return unknown('history does not reach back far enough');
      const days = Math.floor(input.cleanDays * 10) / 10;
      return input.cleanDays >= 7 ? met(`${days} clean days`) : unmet(`${days} of 7 clean days`);
    },
  },
  {
    id: 'production-signals',
    stage: 'Production',
    title: 'No critical signal is open',
    remedy: 'Resolve the open critical signals.',
    link: page('/signals'),
    assess: (input) => {
      if (input.openCriticalSignals > 0) return unmet(`${input.openCriticalSignals} critical signals open`);
      return proved(input, () => met('none open'));
    },
  },
  {
    id: 'default-enrolled',
    stage: 'Default',
    title: 'At least 95 % of workloads are in the mesh',
    remedy: 'Enrol the workloads listed: sallyport workload enroll NAMESPACE/NAME',
    link: tab('workloads'),
    assess: enrolled(0.95),
  },
  {
    id: 'default-telemetry',
    stage: 'Default',
    title: 'Proxies report at least 95 % of the time',
    remedy: 'Start the silent proxies, or find out why they cannot reach the operator.',
    link: page('/proxies'),
    assess: (input) => covered(input, 0.95),
  },
  {
    id: 'default-policy',
    stage: 'Default',
    title: 'Every workload is under an enforced authorization policy',
    remedy: 'Add a default deny for the namespace and allow what is needed.',
    link: page('/policies'),
    assess: (input) => workloads(input, 'under policy', 1, (workload) => workload.hasPolicy),
  },
  {
    id: 'default-edges',
    stage: 'Default',
    title: 'Every edge that was seen is declared',
    remedy: 'Declare the edge in an ExpectedGraph, or deny it by policy.',
    link: (namespace) => `/graph?namespace=${encodeURIComponent(namespace)}&states=undeclared`,
    assess: declaredOnly,
  },
  {
    id: 'default-egress',
    stage: 'Default',
    title: 'Destinations outside the mesh are declared',
    remedy: 'Egress control comes in a later version.',
    link: page('/graph'),
    assess: (input) => known(input.egressDeclared, 'declared', 'undeclared destinations'),
  },
  {
    id: 'default-jwt',
    stage: 'Default',
    title: 'End-user tokens are validated at the mesh',
    remedy: 'Write a RequestAuthentication that selects every workload which speaks HTTP.',
    link: page('/policies'),
    assess: (input) => known(input.jwt, 'validated', 'not validated'),
  },
  {
    id: 'platform-enrolled',
    stage: 'Platform',
    title: 'Every workload is in the mesh',
    remedy: 'Enrol the workloads listed: sallyport workload enroll NAMESPACE/NAME',
    link: tab('workloads'),
    assess: enrolled(1),
  },
  {
    id: 'platform-gitops',
    stage: 'Platform',
    title: 'All changes come through Git',
    remedy: 'Apply manifests from a pipeline only; the audit log names who else wrote.',
    link: page('/audit'),
    assess: (input) => known(input.gitOps, 'all changes by the pipeline', 'changes by hand'),
  },
  {
    id: 'platform-least-privilege',
    stage: 'Platform',
    title: 'No allowed edge is unused',
    remedy: 'Remove the grants that nobody used.',
    link: (namespace) => `/graph?namespace=${encodeURIComponent(namespace)}&states=unused`,
    assess: (input) => {
      if (input.unusedGrants === null) return unknown('not known for this window');
      if (input.unusedGrants === 0) return proved(input, () => met('none unused'));
      return proved(input, () => unmet(`${input.unusedGrants} allowed edges unused`));
    },
  },
  {
    id: 'platform-federation',
    stage: 'Platform',
    title: 'Trust between meshes is documented',
    remedy: 'Federation comes in a later version.',
    link: page('/identities'),
    assess: (input) => known(input.federation, 'documented', 'not documented'),
  },
  {
    id: 'platform-evidence',
    stage: 'Platform',
    title: 'An evidence bundle verified within the last month',
    remedy: 'Export and verify one: sallyport evidence export --window 24h -O evidence, then sallyport evidence verify.',
    link: () => '/evidence',
    assess: recentEvidence,
  },
];
