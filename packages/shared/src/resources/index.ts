export type { CelRule } from './checks.ts';
export * from './meta.ts';
export * from './kinds.ts';
export type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  RuleCondition,
  RuleOperation,
  RuleSource,
} from './authorization-policy.ts';
export { meshSpec, type ExtensionProvider, type MeshSpec } from './mesh-spec.ts';
export { trustDomainName } from './match.ts';
export type { JwtRule } from './request-authentication.ts';
export { grpcStatusNumber, type TrafficPolicySpec } from './traffic-policy.ts';
export * from './parse.ts';
