import type { Flow } from '../../mesh/index.ts';
import type { DetectedSignal, SignalInput } from '../types.ts';

/** Time (ms) that proxies may take to obey a new mode before accepted plaintext counts against them. */
const SETTLE = 60_000;
const RECENT = 15 * 60_000;

/**
 * Plaintext after strict (audit-evidence.md §4): the receiver saw plaintext on a port whose effective mode is STRICT.
 * Accepted plaintext, later than 60 s after the mode took effect, means that strict is not enforced: critical. Refused
 * plaintext means that a client was left behind or someone tries: warning. Seen within the last 15 minutes.
 */
export function plaintextAfterStrict(input: SignalInput): DetectedSignal[] {
  const plaintext = input.flows.filter((flow) => flow.side === 'inbound' && isPlaintext(flow) && flow.lastSeen > input.now - RECENT);
  const groups = Map.groupBy(plaintext, (flow) => {
    const { namespace, workload, port } = flow.destination;
    return JSON.stringify([flow.source.ip, namespace, workload, port, flow.reason === 'plaintext-refused']);
  });
  return [...groups.values()].flatMap((flows) => signalOf(input, flows));
}

function isPlaintext(flow: Flow): boolean {
  return flow.reason === 'plaintext-refused' || flow.mtls === 'plaintext';
}

function signalOf(input: SignalInput, group: readonly Flow[]): DetectedSignal[] {
  const { source, destination, reason } = group[0] as Flow;
  const { namespace, workload, port } = destination;
  const effective = workload === null ? null : input.modes(namespace, workload, port);
  if (effective?.mode !== 'STRICT') return [];
  const refused = reason === 'plaintext-refused';
  const from = effective.since + (refused ? 0 : SETTLE);
  const flows = group.filter((flow) => flow.lastSeen > from);
  if (flows.length === 0) return [];
  // A count that began before the mode took effect proves only its last call.
  const count = flows.reduce((sum, flow) => sum + (flow.firstSeen >= effective.since ? flow.count : 1), 0);
  const target = `${namespace}/${workload}:${port}`;
  return [
    {
      key: `plaintext-after-strict:${refused ? 'refused' : 'accepted'}:${source.ip}:${target}`,
      kind: 'plaintext-after-strict',
      severity: refused ? 'warning' : 'critical',
      title: refused ? `Plaintext refused by strict ${target}` : `Strict ${target} accepted plaintext`,
      detail: refused
        ? `${source.ip} tried plaintext at least ${count} times on ${target}, which is STRICT; each was refused.`
        : `${source.ip} got plaintext through at least ${count} times to ${target} although its mode is STRICT: the mode is not enforced.`,
      subject: source.ip,
      namespace,
      count,
      at: flows.reduce((latest, flow) => Math.max(latest, flow.lastSeen), 0),
      techniques: ['T1040', 'T1557'],
      link: `/namespaces/${encodeURIComponent(namespace)}?tab=strict`,
    },
  ];
}
