import type { Finding, MaturityInput, MaturityWorkload } from './types.ts';

/** Below this share of reported time, nothing that telemetry shows to be absent is proved absent. */
const PROOF_COVERAGE = 0.95;

export const met = (finding: string): Finding => ({ outcome: 'met', finding });
export const unmet = (finding: string, failing: readonly string[] = []): Finding => ({ outcome: 'unmet', finding, failing });
export const unknown = (finding: string, failing: readonly string[] = []): Finding => ({ outcome: 'indeterminate', finding, failing });

/** A condition that telemetry alone can prove: an insufficient coverage makes it indeterminate. */
export function proved(input: MaturityInput, assess: () => Finding): Finding {
  const { share } = input.coverage;
  if (share === null) return unknown('no proxy was expected to report, so nothing is known');
  if (share >= PROOF_COVERAGE) return assess();
  const gaps = input.coverage.proxies.filter((proxy) => proxy.share < PROOF_COVERAGE).map((proxy) => proxy.name);
  return unknown(`telemetry covers ${percent(share)} of the window; ${percent(PROOF_COVERAGE)} is needed to prove it`, gaps);
}

/** The share of time that proxies reported, against a limit. */
export function covered(input: MaturityInput, limit: number): Finding {
  const { share, proxies } = input.coverage;
  if (share === null) return unknown('no proxy was expected to report');
  const found = `${percent(share)} of proxy time reported`;
  const silent = proxies.filter((proxy) => !proxy.live).map((proxy) => proxy.name);
  if (silent.length > 0) return unmet(`${found}; no data now from ${silent.length} of ${proxies.length} proxies`, silent);
  if (share >= limit) return met(found);
  return unmet(found, proxies.filter((proxy) => proxy.share < limit).map((proxy) => proxy.name));
}

/** A share of workloads that must satisfy `holds`; no workloads is nothing known. */
export function workloads(
  input: MaturityInput,
  what: string,
  limit: number,
  holds: (workload: MaturityWorkload) => boolean,
): Finding {
  const total = input.workloads.length;
  if (total === 0) return unknown('the namespace has no workloads');
  const failing = input.workloads.filter((workload) => !holds(workload)).map((workload) => `${input.namespace}/${workload.name}`);
  const found = `${total - failing.length} of ${total} workloads ${what}`;
  return (total - failing.length) / total >= limit ? met(found) : unmet(found, failing);
}

/** Share of mutual TLS. Plaintext that was seen is unmet at any coverage; only its absence needs proof. */
export function mutualShare(input: MaturityInput, limit: number): Finding {
  const { mutual, plaintext } = input.calls;
  const total = mutual + plaintext + input.calls.unknown;
  if (total === 0) return unknown('no calls in the window, so nothing was shown');
  const found = `${mutual} of ${total} calls mTLS, ${plaintext} plaintext, ${input.calls.unknown} unknown`;
  if ((total - plaintext) / total < limit) return unmet(found);
  if (mutual / total < limit) return unknown(found);
  return proved(input, () => met(found));
}

export function certificates(input: MaturityInput): Finding {
  const { total, overdue, expired } = input.certificates;
  if (total === 0) return unknown('no certificates are known');
  if (overdue + expired > 0) return unmet(`${overdue} of ${total} certificates overdue, ${expired} expired`);
  return met(`${total} certificates, none overdue`);
}

export function declaredOnly(input: MaturityInput): Finding {
  if (input.undeclaredEdges > 0) return unmet(`${input.undeclaredEdges} edges seen that nobody declared`);
  if (input.declaredEdges === 0) return unmet('no ExpectedGraph declares an edge');
  return proved(input, () => met(`all seen edges are among the ${input.declaredEdges} declared`));
}

/** A yes or no that may not be known. */
export function known(value: boolean | null, yes: string, no: string): Finding {
  if (value === null) return unknown('Sallyport cannot see this yet');
  return value ? met(yes) : unmet(no);
}

const MONTH_MS = 31 * 24 * 3_600_000;

export function recentEvidence(input: MaturityInput): Finding {
  if (input.evidenceVerifiedAt === null) return unknown('no verified bundle is recorded');
  const at = new Date(input.evidenceVerifiedAt).toISOString();
  if (input.now === undefined) return unknown(`last verified at ${at}; its age is not known`);
  return input.now - input.evidenceVerifiedAt <= MONTH_MS ? met(`last verified at ${at}`) : unmet(`last verified at ${at}`);
}

// Rounded down: 94.99 % must not read as 95 %.
function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`;
}
