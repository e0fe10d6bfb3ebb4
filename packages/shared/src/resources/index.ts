export * from './meta.ts';
export * from './kinds.ts';
export type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  RuleCondition,
  RuleOperation,
  RuleSource,
} from './authorization-policy.ts';
export type { ExtensionProvider, MeshSpec } from './mesh-spec.ts';
export type { JwtRule } from './request-authentication.ts';
export * from './parse.ts';
