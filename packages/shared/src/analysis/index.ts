export { MAX_TEST_BYTES, runPolicyTests, type Actual, type CaseResult, type FileResult } from './policy-test/run.ts';
