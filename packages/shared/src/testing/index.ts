export {
  aFlow,
  aMesh,
  anEvidenceModel,
  anExpectedGraph,
  aService,
  aSignalInput,
  aWorkload,
  denials,
  fullCoverage,
  NOW,
  WINDOW,
} from './builders.ts';
export { anyMesh, anyPolicy, anyRequest } from './arbitraries.ts';
export { referenceDecide } from './reference.ts';
