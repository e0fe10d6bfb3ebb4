import type { ExplainView } from '@sallyport/shared/api';
import type { Tone } from '#ui/Tag.tsx';

type Considered = ExplainView['policies'][number];
type Rule = Considered['rules'][number];
type Clause = Rule['clauses'][number];

/** What became of one clause. `not counted`: an HTTP field on a TCP port. */
export type ClauseState = 'matched' | 'not matched' | 'not reached' | 'not counted' | 'does not apply';

/** One line of the table: a clause, or a policy that has none to show. */
export interface ExplainRow {
  readonly key: string;
  readonly policy: string;
  readonly action: Considered['action'];
  readonly dryRun: boolean;
  readonly rule: number | null;
  /** Field below the rule, or why the policy is not asked. */
  readonly field: string;
  readonly wants: string;
  readonly has: string;
  readonly state: ClauseState;
  /** True for what the verdict hangs on. */
  readonly decides: boolean;
}

/** The order in which proxies ask: DENY, then ALLOW, then CUSTOM; a verdict ends it. */
const STAGE = { DENY: 0, ALLOW: 1, CUSTOM: 2, AUDIT: 3 } as const;

/** The stage that gave the verdict; below all when the call was refused before any policy was read. */
function decidedStage({ verdict, policies }: ExplainView): number {
  if (verdict.effect !== 'DENY') return STAGE.CUSTOM;
  if (verdict.reason === 'policy-deny') return policies.some((each) => each.policy === verdict.policy && each.action === 'CUSTOM') ? STAGE.CUSTOM : STAGE.DENY;
  return verdict.reason === 'policy-no-allow' ? STAGE.ALLOW : -1;
}

function isReached(policy: Considered, view: ExplainView): boolean {
  const stage = decidedStage(view);
  // What only reports is read for every call that gets to policies.
  if (policy.enforcement === 'DryRun' || policy.action === 'AUDIT') return stage >= 0;
  return STAGE[policy.action] <= stage;
}

/** True when the clauses of this rule are what the verdict hangs on. */
function isDecisive(policy: Considered, rule: Rule, { verdict, decidedBy }: ExplainView): boolean {
  if (policy.enforcement === 'DryRun') return false;
  if (verdict.reason === 'policy-no-allow') return policy.action === 'ALLOW';
  return decidedBy?.policy === policy.policy && decidedBy.rule === rule.index;
}

/** The table of an explanation: what decided first, then what was asked, then what does not bear on the workload. */
export function explainRows(view: ExplainView): ExplainRow[] {
  const rank = (policy: Considered) => (policy.policy === view.decidedBy?.policy ? 0 : !policy.applies ? 3 : isReached(policy, view) ? 1 : 2);
  return [...view.policies].sort((a, b) => rank(a) - rank(b)).flatMap((policy) => policyRows(policy, view));
}

function policyRows(policy: Considered, view: ExplainView): ExplainRow[] {
  const base = { policy: policy.policy, action: policy.action, dryRun: policy.enforcement === 'DryRun', rule: null, wants: '', has: '', decides: false };
  if (!policy.applies) return [{ ...base, key: policy.policy, field: policy.why, state: 'does not apply' }];
  const reached = isReached(policy, view);
  if (policy.rules.length === 0) {
    const decides = reached && view.verdict.reason === 'policy-no-allow' && policy.action === 'ALLOW' && !base.dryRun;
    return [{ ...base, key: policy.policy, field: reached ? 'it has no rule, so it matches nothing' : policy.why, state: reached ? 'not matched' : 'not reached', decides }];
  }
  return policy.rules.flatMap((rule) => {
    const asked = reached && (policy.matched === null || rule.index <= policy.matched);
    const decisive = asked && isDecisive(policy, rule, view);
    if (rule.clauses.length === 0) return [{ ...base, key: `${policy.policy} ${rule.index}`, rule: rule.index, field: 'no condition: it matches every call', state: asked ? ('matched' as const) : ('not reached' as const), decides: decisive }];
    return rule.clauses.map((clause): ExplainRow => ({
      ...base, key: `${policy.policy} ${clause.field}`, rule: rule.index, field: shortField(clause.field), wants: wantsOf(clause), has: clause.seen,
      state: !asked ? 'not reached' : clause.ignored ? 'not counted' : clause.matched ? 'matched' : 'not matched',
      decides: decisive && rule.decidedBy.includes(clause.field),
    }));
  });
}

/** The field below its rule: `to[0].operation.methods`. */
function shortField(field: string): string {
  return field.replace(/^spec\.rules\[\d+\]\.?/, '');
}

function wantsOf({ values, more }: Clause): string {
  return `${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The verdict in one sentence, with its tone. */
export function verdictOf({ verdict }: ExplainView): { readonly tone: Tone; readonly title: string } {
  if (verdict.effect === 'ALLOW') return { tone: 'ok', title: 'Let in' };
  if (verdict.effect === 'ASK') return { tone: 'warn', title: `For the external authorizer ${verdict.provider ?? ''} to say` };
  return { tone: 'bad', title: `Refused with status ${verdict.status}` };
}

/** Where the mTLS mode of the port comes from, in words. */
export function mtlsText({ mtls }: ExplainView): string {
  const source = mtls.policy === null ? 'the default: no PeerAuthentication says otherwise' : `PeerAuthentication ${mtls.policy}, ${mtls.scope} scope`;
  return `${mtls.mode} (${source})${mtls.refused ? ': plaintext is refused before any policy is read' : ''}`;
}
