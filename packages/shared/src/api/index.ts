/**
 * The contract between the operator's API and whoever asks it: console and command line.
 *
 * All under `/api/v1`, JSON, errors as {@link apiError}. Signed in by cookie `sallyport_session` (HttpOnly,
 * SameSite=Strict; writes also need header `x-csrf-token`) or by `Authorization: Bearer <token>`.
 * `window` parameters are durations such as `15m` (default `15m`, at most 31 days).
 *
 * | method and path | role | request -> answer |
 * |---|---|---|
 * | POST /session[?token=true] | none | signInRequest -> sessionView or tokenView |
 * | GET /session; DELETE /session | any | -> sessionView; 204 |
 * | GET /overview?window | viewer | -> overviewView |
 * | GET /graph?window&namespace | viewer | -> graphView |
 * | GET /namespaces?window; GET /namespaces/:ns?window | viewer | -> namespacesView; namespaceDetail |
 * | GET /namespaces/:ns/strict | viewer | -> strictPlan |
 * | POST /namespaces/:ns/strict | approver | -> strictPlan; 412 `precondition` when not ready |
 * | POST /namespaces/:ns/strict/rollback | approver | strictRollbackRequest -> strictPlan |
 * | GET /callers?namespace&service&window | viewer | -> callersView |
 * | POST /policies/preview | viewer | previewRequest -> previewView |
 * | GET /policies/lint; GET /policies/unused?window | viewer | -> lintView; unusedView |
 * | POST /policies/explain; POST /policies/diff | viewer | explainRequest -> explainView; diffRequest -> diffView |
 * | GET /policies/reach?to&port; GET /policies/blast?from | viewer | -> reachView; blastView |
 * | GET /flows?window&namespace&limit | viewer | -> flowsView |
 * | POST /apply | editor | applyRequest -> applyView |
 * | GET /resources/:kind?namespace; GET /resources/:kind/:name or /:ns/:name | viewer | -> resourceList; the resource |
 * | DELETE /resources/:kind/:name or /:ns/:name | editor | 204 |
 * | POST /workloads/:ns/:name/enroll | editor | enrollRequest -> the Workload |
 * | GET /certificates; GET /signals?state; GET /denies?window&namespace&limit; GET /proxies | viewer | -> views |
 * | GET /shadows?window&namespace | viewer | -> shadowsView |
 * | GET /ca | viewer | -> caView |
 * | POST /ca/rotate-root; POST /ca/rotate-issuer | approver | -> caActionView; 412 `precondition` when it cannot be now |
 * | POST /ca/activate | approver | caActivateRequest -> caActionView; 412 `precondition` naming the proxies that lag |
 * | GET /audit?before&limit | auditor | -> auditView |
 * | POST /evidence; GET /evidence; GET /evidence/key | auditor | -> zip; evidenceList; evidenceKey |
 * | GET /events | viewer | server-sent events: `data: {"topic":"resources"|"telemetry"|"signals"|"proxies"|"steps"|"ca"}` |
 */
export * from './analysis.ts';
export * from './ca.ts';
export * from './common.ts';
export * from './graph.ts';
export * from './namespaces.ts';
export * from './policies.ts';
export * from './security.ts';
