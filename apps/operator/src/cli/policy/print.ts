import type { BlastRadius, ClassPart, ConsideredPolicy, Explanation, Finding, OverPermission, PolicyDiff, Replay, ReplayedFlow, Suggestion, VerdictChange, Way, WorkloadReach } from '@sallyport/shared/analysis';
import type { RawRequest } from '@sallyport/shared/policy';
import { type Cell, note, printable, type Row, show, tone } from '../output.ts';

const line = (text: string) => process.stdout.write(`${printable(text)}\n`);
const counted = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Verdict first, then why. */
export function printExplanation({ workload, verdict, mtls, path, policies, decidedBy }: Explanation): void {
  line(`${verdict.effect} ${verdict.status}: ${verdict.explanation}`);
  line(`workload ${workload}; mTLS ${mtls.mode} (${mtls.policy === null ? 'by default' : `${mtls.policy}, ${mtls.scope} scope`})${path === null ? '' : `; path ${path}`}`);
  if (decidedBy && decidedBy.fields.length > 0) line(`decided by ${decidedBy.policy}: ${decidedBy.fields.join(', ')}`);
  line('');
  show('table', null, ['POLICY', 'ACTION', 'RESULT', 'RULE', 'WHY'], policies.flatMap(policyRows));
}

function policyRows(policy: ConsideredPolicy): Row[] {
  const action = policy.enforcement === 'DryRun' ? `${policy.action} (dry run)` : policy.action;
  if (!policy.applies) return [[policy.policy, action, tone('does not apply', 'quiet'), null, policy.why]];
  if (policy.rules.length === 0) return [[policy.policy, action, tone('no match', 'quiet'), null, 'no rule']];
  return policy.rules.map((rule) => {
    const decisive = rule.clauses.filter((clause) => rule.decidedBy.includes(clause.field));
    const why = decisive.map((clause) => `${clause.field.replace(/^spec\.rules\[\d+\]\.?/, '')} ${clause.matched ? 'matches' : 'does not match'} ${clause.seen}`);
    return [policy.policy, action, rule.matched ? tone('match', 'good') : tone('no match', 'quiet'), rule.index, rule.neverOnTcp ? 'HTTP fields never match on a TCP port' : why.join('; ') || 'matches everything'];
  });
}

/** One paragraph for each class. */
export function printDiff(result: PolicyDiff): void {
  for (const change of result.changes) printChange(change);
  if (result.more > 0) line(`and ${result.more} more classes of calls; raise --limit to see them`);
  for (const text of result.notes) note(text);
  const { compared, changed } = result.workloads;
  if (result.equal) line(`No difference: proven for every call to ${counted(compared, 'workload')} over ${result.modelled.length} attributes.`);
  else line(`${counted(result.changes.length + result.more, 'class', 'classes')} of calls change${result.changes.length + result.more === 1 ? 's' : ''} verdict, on ${changed} of ${counted(compared, 'workload')}.`);
  if (!result.complete) note('sallyport: the comparison was cut short: differences may be missing');
}

function printChange({ before, after, workloads, ports, protocol, where, witness }: VerdictChange): void {
  line(`${before} -> ${after}  ${workloads.slice(0, 5).join(', ')}${workloads.length > 5 ? ` and ${workloads.length - 5} more` : ''}  ${protocol} port ${ports.join(', ')}`);
  for (const part of where) line(`    ${part.field.padEnd(10)} ${partText(part)}`);
  line(`    for example ${requestText(witness.request)}`);
  line(`    before: ${witness.before.explanation}`);
  line(`    after:  ${witness.after.explanation}`);
  line('');
}

function partText({ values, except, more }: ClassPart): string {
  return `${except ? 'any but ' : ''}${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** A request on one line. */
function requestText({ source, destination, http, sni, token }: RawRequest): string {
  const what = http ? `${http.method} ${http.target}${http.host === '' ? '' : ` (host ${http.host})`}` : 'a TCP connection';
  const headers = Object.entries(http?.headers ?? {}).map(([name, values]) => `${name}: ${values.join(' | ')}`);
  const more = [...headers, ...(sni === undefined ? [] : [`SNI ${sni}`]), ...(token ? [`token ${JSON.stringify(token.claims)}`] : [])];
  return `${what} to port ${destination.port} from ${source.principal ?? 'a plaintext peer'} at ${source.ip}${source.remoteIp === undefined ? '' : ` for ${source.remoteIp}`}${more.length === 0 ? '' : `, ${more.join(', ')}`}`;
}

export function printReach(list: readonly WorkloadReach[]): void {
  show('table', null, ['WORKLOAD', 'PORT', 'MTLS', 'WHO', 'CALLS', 'HOW'], list.flatMap(({ workload, by }) => by.flatMap((each) => each.ways.map((way): Row => [workload, way.port, way.mode ?? tone('none', 'bad'), each.principal === null ? tone(each.label, 'warn') : each.label, way.everything ? 'all' : 'some', howText(way)]))));
  const unreached = list.filter(({ by }) => by.length === 0);
  if (unreached.length > 0) note(`nobody reaches ${unreached.map(({ workload }) => workload).join(', ')}`);
  if (list.some(({ complete }) => !complete)) note('sallyport: the search was cut short: more may be reachable');
}

function howText({ how, explanation }: Way): string {
  return how === null ? explanation : `${how.policy} rule ${how.rule}`;
}

export function printRadius({ start, hops, reached, workloads, complete }: BlastRadius): void {
  show('table', null, ['HOP', 'WORKLOAD', 'PORT', 'FROM', 'AS', 'HOW'], hops.map(({ hop, workload, from, as, ways }) => [hop, workload, ways.map(({ port }) => port).join(','), from, as === null ? tone('plaintext', 'warn') : as, ways[0] ? howText(ways[0]) : null]));
  line(`${start} reaches ${reached} of ${counted(workloads, 'workload')}.`);
  if (!complete) note('sallyport: the search was cut short: more may be reachable');
}

export function printUnused({ unusedIdentities, unusedRules }: OverPermission): void {
  show('table', null, ['IDENTITY', 'WORKLOAD', 'PORT', 'POLICY', 'RULE'], unusedIdentities.map(({ identity, workload, port, policy, rule }) => [identity, workload, port, policy, rule]));
  if (unusedRules.length > 0) note(`no recorded call was let in by ${unusedRules.map(({ policy, rule }) => `${policy} rule ${rule}`).join(', ')}`);
}

/** The patch goes to standard output, what to know about it beside. */
export function printSuggestion({ patch, cutOff, warnings, policies }: Suggestion): void {
  if (policies.length === 0) note('Nothing to suggest.');
  else process.stdout.write(patch);
  for (const { workload, principal, ip, port, method, path, requests, remedy } of cutOff) {
    note(`CUT OFF: ${counted(requests, 'call')} ${[method, path].filter((text) => text !== null).join(' ')} to ${workload}:${port} from ${principal ?? `${ip} in plaintext`}. ${remedy}`);
  }
  for (const { message, remedy } of warnings) note(`${message}; ${remedy}`);
}

export function printReplay({ evaluated, wouldDeny, wouldAllow, wouldAsk, unchanged, skipped }: Replay): void {
  const rows = (list: readonly ReplayedFlow[], what: Cell): Row[] => list.map(({ flow, after, approximate }) => [
    what, flow.count, flow.source.principal ?? `${flow.source.ip} (plaintext)`, `${flow.destination.namespace}/${flow.destination.workload ?? ''}:${flow.destination.port}`, flow.method, flow.path, approximate.length === 0 ? 'exact' : tone(`approximate: ${approximate.join(', ')}`, 'warn'), after.explanation,
  ]);
  const all = [...rows(wouldDeny, tone('would deny', 'bad')), ...rows(wouldAllow, tone('would allow', 'warn')), ...rows(wouldAsk, tone('would ask', 'warn'))];
  if (all.length > 0) show('table', null, ['CHANGE', 'CALLS', 'SOURCE', 'DESTINATION', 'METHOD', 'PATH', 'REPLAY', 'WHY'], all);
  line(`${counted(evaluated, 'call')} replayed: ${unchanged.allowed} stay allowed, ${unchanged.denied} stay denied${skipped > 0 ? `; ${skipped} had no verdict to replay` : ''}.`);
}

export function printFindings(findings: readonly Finding[]): void {
  const tones = { error: 'bad', warn: 'warn', info: 'quiet' } as const;
  if (findings.length === 0) line('No findings.');
  else show('table', null, ['SEVERITY', 'CODE', 'POLICY', 'FIELD', 'MESSAGE', 'REMEDY'], findings.map(({ severity, code, policy, field, message, remedy }) => [tone(severity, tones[severity]), code, policy, field, message, remedy]));
}

