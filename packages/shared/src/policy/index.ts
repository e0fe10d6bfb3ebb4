export * from './types.ts';
export { normalizePath, type NormalizedPath } from './path.ts';
export { compileWorkloadPolicy, decide, effectiveMtls, type CompiledWorkloadPolicy, type WorkloadPolicyInput } from './evaluate.ts';
