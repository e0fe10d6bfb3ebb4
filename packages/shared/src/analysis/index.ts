export { explain, type ConsideredPolicy, type ExplainedClause, type ExplainedRule, type ExplainInput, type Explanation } from './explain.ts';
export { type CallVerdict, compileFor, judgeCall, type PolicySet, policyTarget, type Universe } from './model.ts';
