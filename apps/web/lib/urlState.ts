'use client';
import { usePathname, useSearchParams } from 'next/navigation';
import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react';
import { pendingQuery } from './pendingQuery.ts';

export interface UrlState {
  /** The value of a parameter, or `fallback` when it is absent. */
  readonly get: (name: string, fallback?: string) => string;
  /** Sets parameters; '' removes one. `push` makes a step that Back undoes, otherwise the entry is replaced. */
  readonly set: (changes: Readonly<Record<string, string>>, how?: 'push' | 'replace') => void;
}

const pending = pendingQuery();

/**
 * The page's state in its query, so that any view can be linked to. Next follows the address bar in a transition, which
 * on a busy page comes late: a box would spring back and typed letters would be lost. What was just written is therefore
 * read back at once, until Next has caught up.
 */
export function useUrlState(): UrlState {
  const followed = useSearchParams().toString();
  const pathname = usePathname();
  const written = useSyncExternalStore((listener) => pending.subscribe(listener), () => pending.over(pathname, followed), () => null);
  const query = written ?? followed;
  useEffect(() => pending.settle(pathname, followed), [pathname, followed]);
  const params = useMemo(() => new URLSearchParams(query), [query]);
  const get = useCallback((name: string, fallback = '') => params.get(name) ?? fallback, [params]);
  const set = useCallback(
    (changes: Readonly<Record<string, string>>, how: 'push' | 'replace' = 'replace') => {
      // The address bar, not the last render: two changes in one tick must not lose the first.
      const next = new URLSearchParams(window.location.search);
      for (const [name, value] of Object.entries(changes)) {
        if (value === '') next.delete(name);
        else next.set(name, value);
      }
      const text = next.toString();
      const url = text === '' ? pathname : `${pathname}?${text}`;
      if (how === 'push') window.history.pushState(null, '', url);
      else window.history.replaceState(null, '', url);
      pending.write(pathname, followed, text);
    },
    [pathname, followed],
  );
  return { get, set };
}

export const WINDOWS = ['5m', '15m', '1h', '6h', '24h', '7d'] as const;

/** The time window of the page (`?window=`), a duration such as `15m`; anything unreadable is the default. */
export function useWindow(): [string, (window: string) => void] {
  const url = useUrlState();
  const text = url.get('window', '15m');
  return [/^[1-9]\d{0,5}[smhd]$/.test(text) ? text : '15m', (window) => url.set({ window: window === '15m' ? '' : window })];
}
