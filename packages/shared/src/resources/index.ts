export * from './meta.ts';
export * from './kinds.ts';
export type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  RuleCondition,
  RuleOperation,
  RuleSource,
} from './authorization-policy.ts';
export * from './parse.ts';
