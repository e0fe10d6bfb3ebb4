export * from './types.ts';
export { normalizePath, pathNormalizationOf, type NormalizedPath, type NormalPath, type PathNormalization } from './path.ts';
export { attaches, compileWorkloadPolicy, policyId, type CompiledWorkloadPolicy, type PolicyTarget, type WorkloadPolicyInput } from './compile.ts';
export { admissionProblems, type AdmissionContext, type AdmissionProblem } from './admission.ts';
export { servicesNamed } from './traffic-admission.ts';
export { decide, decideTarget, type TargetDecision } from './decide.ts';
export { compileRule, accountPatterns, type Predicate, type RuleContext } from './rule.ts';
export { Facts } from './facts.ts';
export { principalPatterns, trustDomainPatterns } from './identity.ts';
export { isTemplate } from './match.ts';
export { effectiveMtls } from './peer-mode.ts';
export {
  authenticate, compileAuthentication, isPreflight, sameLocation,
  type Authentication, type AuthenticationRule, type PresentedToken, type TokenLocation, type TokenValidity,
} from './authentication.ts';
