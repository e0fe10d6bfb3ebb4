import { explainView, type ExplainView } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { explainRows, mtlsText, verdictOf } from './explanation.ts';

type Considered = ExplainView['policies'][number];
const clause = (field: string, matched: boolean) => ({ field, values: ['GET'], more: 0, seen: matched ? 'GET' : 'PUT', matched, ignored: false });
const rule = (index: number, matched: boolean) => ({ index, matched, neverOnTcp: false, decidedBy: [`spec.rules[${index}].to[0].operation.methods`], clauses: [clause(`spec.rules[${index}].from[0].source.namespaces`, true), clause(`spec.rules[${index}].to[0].operation.methods`, matched)] });
const policy = (name: string, action: Considered['action'], rules: Considered['rules'], changes: Partial<Considered> = {}): Considered =>
  ({ policy: name, action, enforcement: 'Enforce', applies: true, why: 'no selector', matched: rules.find((each) => each.matched)?.index ?? null, rules, rulesOmitted: 0, ...changes });
const VERDICT = { effect: 'ALLOW', status: 200, reason: null, policy: null, rule: null, provider: null, explanation: '' } as const;

function view(verdict: Partial<ExplainView['verdict']>, policies: Considered[], decidedBy: ExplainView['decidedBy'] = null): ExplainView {
  return explainView.parse({
    call: { principal: null, ip: '10.0.0.1', remoteIp: null, workload: 'pay/card', port: 80, protocol: 'http', method: 'PUT', path: '/', host: '', headers: [], sni: null, claims: null },
    verdict: { ...VERDICT, ...verdict }, mtls: { mode: 'PERMISSIVE', policy: null, scope: 'default', refused: false }, matchedPath: '/', decidedBy, policies, omitted: 0,
  });
}
const told = (data: ExplainView) => explainRows(data).map(({ policy: name, rule: index, field, state, decides }) => [name, index, field, state, decides]);

describe('explainRows', () => {
  it('marks the clauses of the rule that decided, and leaves what comes after it unasked', () => {
    const data = view({ policy: 'pay/allow', rule: 1 }, [policy('pay/ask', 'CUSTOM', [rule(0, false)]), policy('pay/allow', 'ALLOW', [rule(0, false), rule(1, true), rule(2, true)])], { policy: 'pay/allow', rule: 1, fields: [] });
    expect(told(data).slice(0, 6)).toEqual([
      ['pay/allow', 0, 'from[0].source.namespaces', 'matched', false], ['pay/allow', 0, 'to[0].operation.methods', 'not matched', false],
      ['pay/allow', 1, 'from[0].source.namespaces', 'matched', false], ['pay/allow', 1, 'to[0].operation.methods', 'matched', true],
      ['pay/allow', 2, 'from[0].source.namespaces', 'not reached', false], ['pay/allow', 2, 'to[0].operation.methods', 'not reached', false],
    ]);
    expect(told(data)[7]).toEqual(['pay/ask', 0, 'to[0].operation.methods', 'not matched', false]);
  });

  it('says of a DENY that ALLOW policies were not reached', () => {
    const data = view({ effect: 'DENY', status: 403, reason: 'policy-deny', policy: 'pay/deny', rule: 0 }, [policy('pay/allow', 'ALLOW', [rule(0, true)]), policy('pay/deny', 'DENY', [rule(0, true)])], { policy: 'pay/deny', rule: 0, fields: [] });
    expect(told(data)).toEqual([
      ['pay/deny', 0, 'from[0].source.namespaces', 'matched', false], ['pay/deny', 0, 'to[0].operation.methods', 'matched', true],
      ['pay/allow', 0, 'from[0].source.namespaces', 'not reached', false], ['pay/allow', 0, 'to[0].operation.methods', 'not reached', false],
    ]);
  });

  it('marks what failed in every ALLOW rule when none matched, but nothing of a dry run', () => {
    const policies = [policy('pay/allow', 'ALLOW', [rule(0, false)]), policy('pay/empty', 'ALLOW', []), policy('pay/trial', 'ALLOW', [rule(0, false)], { enforcement: 'DryRun' }), policy('pay/other', 'ALLOW', [], { applies: false, why: 'selector wants app=web' })];
    expect(told(view({ effect: 'DENY', status: 403, reason: 'policy-no-allow' }, policies)).filter(([, , , , decides]) => decides)).toEqual([
      ['pay/allow', 0, 'to[0].operation.methods', 'not matched', true], ['pay/empty', null, 'it has no rule, so it matches nothing', 'not matched', true],
    ]);
    expect(told(view({ effect: 'DENY', status: 403, reason: 'policy-no-allow' }, policies)).at(-1)).toEqual(['pay/other', null, 'selector wants app=web', 'does not apply', false]);
  });

  it('reaches no policy when the call is refused before', () => {
    const data = view({ effect: 'DENY', status: 403, reason: 'plaintext-refused', policy: 'pay/strict' }, [policy('pay/deny', 'DENY', [rule(0, true)]), policy('pay/any', 'ALLOW', [{ ...rule(0, true), clauses: [] }])]);
    expect(new Set(explainRows(data).map(({ state, decides }) => `${state} ${decides}`))).toEqual(new Set(['not reached false']));
  });
});

describe('the verdict', () => {
  it('is told in words and tone', () => {
    expect(verdictOf(view({}, []))).toEqual({ tone: 'ok', title: 'Let in' });
    expect(verdictOf(view({ effect: 'DENY', status: 400 }, []))).toEqual({ tone: 'bad', title: 'Refused with status 400' });
    expect(verdictOf(view({ effect: 'ASK', provider: 'guard' }, []))).toMatchObject({ tone: 'warn', title: expect.stringContaining('guard') });
    expect(mtlsText({ ...view({}, []), mtls: { mode: 'STRICT', policy: 'pay/all', scope: 'namespace', refused: true } })).toBe('STRICT (PeerAuthentication pay/all, namespace scope): plaintext is refused before any policy is read');
  });
});
