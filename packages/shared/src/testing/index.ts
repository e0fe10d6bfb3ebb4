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
