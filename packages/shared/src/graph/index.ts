export { buildGraph, edgeIdentity } from './build.ts';
export { callersOf } from './callers.ts';
export { coverageOf, FRESH_MS, iso, windowViewOf } from './coverage.ts';
export { declaredOf } from './declared.ts';
export { compare, keyOf, lookupOf, nodesOfAccount, sourceOf, targetOf } from './lookup.ts';
export type { AllowedEdge, CoverageInput, GraphInput, MeshState, Observed, ProxyFact, SourceNode } from './types.ts';
