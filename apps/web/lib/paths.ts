/** Every address of the console and of the API is built here, so that each is written once and escaped once. */

type Query = Readonly<Record<string, string | undefined>>;

function withQuery(path: string, query: Query): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '');
  return entries.length === 0 ? path : `${path}?${new URLSearchParams(entries).toString()}`;
}

const segment = encodeURIComponent;

/** Pages of the console. */
export const pages = {
  overview: () => '/',
  signIn: () => '/signin',
  graph: (query: Query = {}) => withQuery('/graph', query),
  namespaces: () => '/namespaces',
  namespace: (namespace: string, query: Query = {}) => withQuery(`/namespaces/${segment(namespace)}`, query),
  policies: (query: Query = {}) => withQuery('/policies', query),
  explain: (query: Query = {}) => withQuery('/policies/explain', query),
  reach: (query: Query = {}) => withQuery('/policies/reach', query),
  unused: (query: Query = {}) => withQuery('/policies/unused', query),
  newPolicy: (query: Query = {}) => withQuery('/policies/new', query),
  identities: (query: Query = {}) => withQuery('/identities', query),
  signals: (query: Query = {}) => withQuery('/signals', query),
  evidence: () => '/evidence',
  proxies: () => '/proxies',
  audit: () => '/audit',
} as const;

/** Paths below `/api/v1`; see `@sallyport/shared/api` for who may ask them and what they answer. */
export const apiPaths = {
  session: () => '/session',
  overview: (window: string) => withQuery('/overview', { window }),
  graph: (window: string, namespace?: string) => withQuery('/graph', { window, namespace }),
  namespaces: (window: string) => withQuery('/namespaces', { window }),
  namespace: (namespace: string, window: string) => withQuery(`/namespaces/${segment(namespace)}`, { window }),
  strict: (namespace: string) => `/namespaces/${segment(namespace)}/strict`,
  rollback: (namespace: string) => `/namespaces/${segment(namespace)}/strict/rollback`,
  callers: (namespace: string, service: string, window: string) => withQuery('/callers', { namespace, service, window }),
  preview: () => '/policies/preview',
  lint: () => '/policies/lint',
  explain: () => '/policies/explain',
  diff: () => '/policies/diff',
  reach: (to: string) => withQuery('/policies/reach', { to }),
  blast: (from: string) => withQuery('/policies/blast', { from }),
  unused: (window: string) => withQuery('/policies/unused', { window }),
  apply: () => '/apply',
  resources: (kind: string, namespace?: string) => withQuery(`/resources/${segment(kind)}`, { namespace }),
  /** `namespace` is '' for kinds without one. */
  resource: (kind: string, namespace: string, name: string) => ['/resources', ...[kind, namespace, name].filter(Boolean).map(segment)].join('/'),
  enroll: (namespace: string, workload: string) => `/workloads/${segment(namespace)}/${segment(workload)}/enroll`,
  certificates: () => '/certificates',
  ca: () => '/ca',
  caAction: (action: 'rotate-root' | 'rotate-issuer' | 'activate') => `/ca/${action}`,
  signals: (state?: string) => withQuery('/signals', { state }),
  denies: (window: string, namespace?: string) => withQuery('/denies', { window, namespace, limit: '500' }),
  shadows: (window: string) => withQuery('/shadows', { window }),
  proxies: () => '/proxies',
  audit: (before?: number) => withQuery('/audit', { before: before?.toString(), limit: '100' }),
  evidence: () => '/evidence',
  evidenceKey: () => '/evidence/key',
  events: () => '/events',
} as const;

/** A link that the API gave, when it is one of our own pages; otherwise the overview. Never another origin. */
export function ownPath(link: string): string {
  return /^\/(?![/\\])/.test(link) ? link : pages.overview();
}
