/** Which views an event makes old. Topics are those of `GET /api/v1/events`. */
const VIEWS: ReadonlyMap<string, readonly string[]> = new Map(Object.entries({
  resources: ['/resources', '/policies', '/namespaces', '/overview', '/graph', '/audit', '/callers'],
  telemetry: ['/graph', '/overview', '/namespaces', '/callers', '/denies', '/shadows', '/proxies'],
  signals: ['/signals', '/overview', '/denies'],
  proxies: ['/proxies', '/overview', '/certificates', '/resources'],
  steps: ['/namespaces'],
  ca: ['/ca', '/certificates'],
}));

/** True when an event on `topic` may have changed the view at `path` (below `/api/v1`). Unknown topics touch nothing. */
export function touches(topic: string, path: string): boolean {
  return (VIEWS.get(topic) ?? []).some((prefix) => path.startsWith(prefix));
}

/** The topic of one event's data; null for anything that is not an event of ours. */
export function topicOf(data: string): string | null {
  try {
    const value: unknown = JSON.parse(data);
    const topic = typeof value === 'object' && value !== null && 'topic' in value ? value.topic : null;
    return typeof topic === 'string' ? topic : null;
  } catch {
    return null;
  }
}
