import type { Certificate } from '../api/index.ts';
import { overdueAt } from '../signals/index.ts';
import type { EvidenceModel, Files } from './model.ts';
import { csv } from './text.ts';

type Outcome = 'pass' | 'fail' | 'indeterminate';
interface Result {
  readonly outcome: Outcome;
  readonly finding: string;
}
interface Control {
  readonly id: string;
  readonly title: string;
  /** Where the finding can be checked. */
  readonly evidence: string;
  /** False when telemetry plays no part in it. */
  readonly telemetry: boolean;
  readonly assess: (model: EvidenceModel) => Result;
}

/** Below this share of reported time a control cannot pass (audit-evidence.md §1). */
const LEAST_COVERAGE = 0.95;

const pass = (finding: string): Result => ({ outcome: 'pass', finding });
const fail = (finding: string): Result => ({ outcome: 'fail', finding });
const unsure = (finding: string): Result => ({ outcome: 'indeterminate', finding });

const CONTROLS: readonly Control[] = [
  { id: 'SC-8', title: 'Transmission confidentiality and integrity', evidence: 'observations.jsonl populations/edges.csv', telemetry: true, assess: transmission },
  { id: 'AC-3', title: 'Access enforcement', evidence: 'populations/workloads.csv populations/policies.csv', telemetry: true, assess: enforcement },
  { id: 'AC-4', title: 'Information flow enforcement', evidence: 'populations/edges.csv', telemetry: true, assess: flowEnforcement },
  { id: 'IA-9', title: 'Service identification and authentication', evidence: 'populations/workloads.csv populations/identities.csv', telemetry: true, assess: identification },
  { id: 'SC-17', title: 'Public key infrastructure certificates', evidence: 'populations/certificates.csv', telemetry: true, assess: issuers },
  { id: 'SC-12', title: 'Cryptographic key establishment and management', evidence: 'populations/certificates.csv', telemetry: true, assess: rotation },
  { id: 'AU-12', title: 'Audit record generation', evidence: 'coverage.json observations.jsonl', telemetry: true, assess: generation },
  { id: 'CM-3', title: 'Configuration change control', evidence: 'populations/changes.csv', telemetry: false, assess: changeControl },
];

/**
 * `controls.csv`: NIST SP 800-53 controls that the bundle bears on, each pass, fail or indeterminate. A finding against a
 * control stands at any coverage; a pass needs 95 % of the period, because a gap may hide what was not seen.
 */
export function renderControls(model: EvidenceModel): Files {
  const { share } = model.coverage;
  const rows = CONTROLS.map((control) => {
    const result = control.assess(model);
    const covered = !control.telemetry || (share !== null && share >= LEAST_COVERAGE);
    const { outcome, finding } = result.outcome === 'pass' && !covered
      ? unsure(`${result.finding}; but telemetry covers ${share === null ? 'nothing' : `${Math.floor(share * 1000) / 10} %`} of the period`)
      : result;
    return [control.id, control.title, outcome, finding, control.evidence, share];
  });
  return new Map([['controls.csv', csv(['control', 'title', 'outcome', 'finding', 'evidence', 'coverage'], rows)]]);
}

function transmission(model: EvidenceModel): Result {
  const inbound = model.observations.flows.filter((flow) => flow.side === 'inbound');
  // What was turned away at the door never was a call (the graph counts in the same way).
  const taken = inbound.filter((flow) => flow.reason !== 'plaintext-refused' && flow.reason !== 'peer-not-verified');
  const count = (mtls: string) => taken.filter((flow) => flow.mtls === mtls).reduce((sum, flow) => sum + flow.count, 0);
  const refused = inbound.reduce((sum, flow) => sum + (flow.reason === 'plaintext-refused' ? flow.count : 0), 0);
  const unknown = count('unknown') + model.populations.edges.reduce((sum, edge) => sum + edge.mtls.unknown, 0);
  const found = `${count('mutual')} calls mTLS, ${count('plaintext')} plaintext taken, ${refused} plaintext refused, ${unknown} of unknown protection`;
  if (count('plaintext') > 0) return fail(found);
  return count('mutual') === 0 || unknown > 0 ? unsure(found) : pass(found);
}

function enforcement(model: EvidenceModel): Result {
  const { workloads } = model.populations;
  const open = workloads.filter((workload) => !workload.underPolicy || workload.proxy === null).length;
  const found = `${workloads.length - open} of ${workloads.length} workloads under an enforced policy`;
  if (workloads.length === 0) return unsure(found);
  return open > 0 ? fail(found) : pass(found);
}

function flowEnforcement(model: EvidenceModel): Result {
  const { edges } = model.populations;
  const undeclared = edges.filter((edge) => edge.state === 'undeclared').length;
  const seen = edges.filter((edge) => edge.state !== 'unused').length;
  const found = `${undeclared} of ${seen} edges seen that nobody declared`;
  if (undeclared > 0) return fail(found);
  return seen === 0 ? unsure(found) : pass(found);
}

function identification(model: EvidenceModel): Result {
  const { workloads } = model.populations;
  const shared = workloads.filter((workload) => workload.serviceAccount === 'default').length;
  const outside = workloads.filter((workload) => workload.proxy === null).length;
  const found = `${workloads.length} workloads: ${shared} with the shared default account, ${outside} without a proven identity`;
  if (workloads.length === 0) return unsure(found);
  return shared + outside > 0 ? fail(found) : pass(found);
}

function issuers(model: EvidenceModel): Result {
  const { certificates } = model.populations;
  const foreign = certificates.filter((item) => !model.scope.approvedIssuers.includes(item.issuer)).length;
  const found = `${certificates.length - foreign} of ${certificates.length} certificates from an approved issuer`;
  if (certificates.length === 0) return unsure(found);
  return foreign > 0 ? fail(found) : pass(found);
}

/** Late is an SVID whose successor began after it was overdue, or the newest one of its holder when it is overdue now. */
function rotation(model: EvidenceModel): Result {
  const { certificates } = model.populations;
  const holders = Map.groupBy(certificates, (item) => `${item.proxy} ${item.spiffeId}`);
  const late = [...holders.values()].flatMap((held) => {
    const order = held.toSorted((a, b) => Date.parse(a.notBefore) - Date.parse(b.notBefore));
    return order.filter((item, index) => isLate(item, order[index + 1]));
  }).length;
  const found = `${certificates.length} certificates of ${holders.size} holders, ${late} rotated late or not at all`;
  if (certificates.length === 0) return unsure(found);
  return late > 0 ? fail(found) : pass(found);
}

function isLate(item: Certificate, next: Certificate | undefined): boolean {
  if (!next) return item.state === 'overdue' || item.state === 'expired';
  return Date.parse(next.notBefore) > overdueAt({ notBefore: Date.parse(item.notBefore), notAfter: Date.parse(item.notAfter) });
}

function generation(model: EvidenceModel): Result {
  const records = model.observations.flows.length + model.observations.denies.length;
  const found = `${records} records from ${model.coverage.proxies.filter((proxy) => proxy.share > 0).length} of ${model.coverage.proxiesExpected} proxies`;
  return records === 0 ? unsure(found) : pass(found);
}

function changeControl(model: EvidenceModel): Result {
  const changes = model.populations.changes.toSorted((a, b) => a.seq - b.seq);
  const anonymous = changes.filter((change) => change.actor === '').length;
  const broken = changes.filter((change, index) => {
    const before = changes[index - 1];
    return before !== undefined && (change.seq !== before.seq + 1 || change.previousHash !== before.hash);
  }).length;
  const found = `${changes.length} changes, ${anonymous} by nobody named, ${broken} breaks in the hash chain`;
  return anonymous + broken > 0 ? fail(found) : pass(found);
}
