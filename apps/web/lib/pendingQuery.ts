/** What was written to the address bar and the router has not followed yet. */
export interface PendingQuery {
  /** The written query while the router still shows one of those that it replaces; null once the router moved on. */
  over(pathname: string, followed: string): string | null;
  write(pathname: string, followed: string, query: string): void;
  /** Forgets what was written as soon as the router shows it, or anything that it does not replace. */
  settle(pathname: string, followed: string): void;
  subscribe(listener: () => void): () => void;
}

interface Written {
  readonly pathname: string;
  /** Queries that the router may still show on its way to `query`. */
  readonly replaced: readonly string[];
  readonly query: string;
}

export function pendingQuery(): PendingQuery {
  let written: Written | null = null;
  const listeners = new Set<() => void>();
  const holds = (pathname: string, followed: string): boolean => written !== null && written.pathname === pathname && written.replaced.includes(followed);
  return {
    over: (pathname, followed) => (holds(pathname, followed) ? (written?.query ?? null) : null),
    write(pathname, followed, query) {
      const earlier = holds(pathname, followed) && written ? [...written.replaced, written.query] : [followed];
      // Back to what the router shows: nothing is pending, and a later visit to the query in between is not to be hidden.
      written = query === followed ? null : { pathname, replaced: earlier.filter((each) => each !== query), query };
      for (const listener of listeners) listener();
    },
    settle(pathname, followed) {
      if (!holds(pathname, followed)) written = null;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
