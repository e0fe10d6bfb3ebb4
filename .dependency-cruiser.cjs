/** Who may import whom (docs: CONTRIBUTING.md, ADR 0002, ADR 0003). Every rule is an error. */
const SHARED = '^packages/shared/src';
/** Each room with the rooms it may import. */
const ROOMS = {
  mesh: [],
  resources: ['mesh'],
  policy: ['mesh', 'resources'],
  analysis: ['mesh', 'resources', 'policy'],
  pki: ['mesh', 'resources'],
  push: ['mesh', 'resources'],
  api: ['mesh', 'resources'],
  graph: ['mesh', 'resources', 'policy', 'api'],
  signals: ['mesh', 'resources', 'policy', 'api', 'graph', 'pki'],
  posture: ['mesh', 'resources', 'policy', 'api', 'graph'],
  maturity: ['mesh', 'resources', 'policy', 'api', 'graph', 'signals', 'posture'],
  evidence: ['mesh', 'resources', 'policy', 'api', 'graph', 'signals', 'posture', 'maturity', 'pki'],
};
const TEST = '\\.test\\.ts$';
const roomRules = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `shared-${room}-points-left`,
  severity: 'error',
  from: { path: `${SHARED}/${room}/`, pathNot: TEST },
  to: { path: `${SHARED}/`, pathNot: [room, ...allowed].map((name) => `${SHARED}/${name}/`) },
}));
const forbid = (name, from, to) => ({ name, severity: 'error', from, to });

module.exports = {
  forbidden: [
    ...roomRules,
    forbid('no-circular', {}, { circular: true }),
    forbid('no-unresolvable', {}, { couldNotResolve: true, pathNot: '^(vitest|next)/' }),
    forbid('apps-never-import-each-other', { path: '^apps/([^/]+)/' }, { path: '^apps/', pathNot: '^apps/$1/' }),
    forbid('shared-imports-no-app', { path: SHARED }, { path: '^apps/' }),
    forbid('shared-does-no-io', { path: SHARED, pathNot: TEST }, { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' }),
    forbid('crypto-only-in-pki-and-evidence', { path: `${SHARED}/(?!pki|evidence)`, pathNot: TEST }, { path: '^(node:)?crypto$' }),
    forbid('only-tests-import-testing', { pathNot: [TEST, `${SHARED}/testing/`] }, { path: `${SHARED}/testing/` }),
    forbid('small-trusted-base', { path: '^apps/dataplane/', pathNot: TEST }, { path: SHARED, pathNot: `${SHARED}/(mesh|resources|policy|pki|push)/` }),
    forbid('web-has-no-pki-nor-evidence', { path: '^apps/web/' }, { path: `${SHARED}/(pki|evidence|push)/` }),
    forbid('web-has-no-database', { path: '^apps/web/' }, { path: 'node_modules/(pg|@prisma|@kubernetes)' }),
    forbid('prisma-only-in-store-and-history', { path: '^apps/operator/src/(?!store/postgres|history|generated|testing)', pathNot: TEST }, { path: 'node_modules/@prisma' }),
    forbid('kubernetes-only-in-its-room', { path: '^apps/operator/src/(?!kubernetes/|testing/)' }, { path: 'node_modules/@kubernetes' }),
    forbid('main-chooses-adapters', { path: '^apps/operator/src/(?!main\\.ts|store|history|testing)', pathNot: TEST }, { path: '^apps/operator/src/store/postgres/(store|watch|migrate)\\.ts' }),
    forbid('push-protocol-has-one-home', { path: '^apps/web' }, { path: `${SHARED}/push/` }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['\\.next/', '/generated/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'], extensions: ['.ts', '.tsx', '.js', '.mjs'] },
  },
};
