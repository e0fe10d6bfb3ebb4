export type { EvidenceException, EvidenceModel, EvidenceQuery, EvidenceWorkload, Files, Renderer } from './model.ts';
export { packBundle } from './pack.ts';
export { renderBundle } from './render.ts';
export { keyIdOf, signBundle } from './sign.ts';
export { type BundleProblem, verifyBundle } from './verify.ts';
