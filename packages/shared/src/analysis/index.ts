export { diff, MODELLED, type ClassPart, type DiffOptions, type PolicyDiff, type VerdictChange } from './diff/diff.ts';
export { explain, type ConsideredPolicy, type ExplainedClause, type ExplainedRule, type ExplainInput, type Explanation } from './explain.ts';
export { type CallVerdict, compileFor, judgeCall, type PolicySet, policyTarget, type Universe } from './model.ts';
export { flowRequest, overlay, replay, unrecordedIn, type Approximation, type Replay, type ReplayedFlow } from './replay.ts';
export { suggest, type CutOff, type Evidence, type SuggestInput, type Suggestion, type SuggestWarning } from './suggest/suggest.ts';
export { allowRules, pathPattern, type AllowedCall } from './suggest/rules.ts';
export { blastRadius, overPermission, reach, type BlastRadius, type Hop, type OverPermission, type ReachedBy, type WorkloadReach } from './reach/reach.ts';
export type { Way } from './reach/index-of-reach.ts';
