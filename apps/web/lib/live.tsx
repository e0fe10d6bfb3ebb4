'use client';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider, useQuery, type UseQueryResult } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from 'react';
import { apiPaths, pages } from './paths.ts';
import { ApiFailure, request, type AnswerSchema } from './request.ts';
import { topicOf, touches } from './topics.ts';

/** How often every view on the page asks again by itself. */
export const REFRESH_MS = 5_000;
/** Events come in bursts; a view is asked again at most this often because of them. */
const EVENT_PAUSE_MS = 2_000;

interface Live {
  readonly paused: boolean;
  readonly setPaused: (paused: boolean) => void;
}
const LiveContext = createContext<Live>({ paused: false, setPaused: () => undefined });

/** Whether the page refreshes itself, and the switch for it. */
export function useLive(): Live {
  return useContext(LiveContext);
}

function signInAgain(error: unknown): void {
  if (!(error instanceof ApiFailure) || error.status !== 401 || window.location.pathname === pages.signIn()) return;
  const next = window.location.pathname + window.location.search;
  window.location.assign(`${pages.signIn()}?${new URLSearchParams({ next, reason: 'ended' }).toString()}`);
}

function makeClient(): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({ onError: signInAgain }),
    mutationCache: new MutationCache({ onError: signInAgain }),
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        refetchOnWindowFocus: true,
        // A refusal is an answer; only silence is worth one more try before the page says so.
        retry: (failures, error) => failures < 1 && error instanceof ApiFailure && (error.status === 0 || error.status >= 500),
        retryDelay: 800,
      },
    },
  });
}

/** Holds the page's cache of answers and keeps it fresh: by interval and by the operator's events. */
export function LiveProvider({ children, events = true }: { children: ReactNode; events?: boolean }) {
  const [client] = useState(makeClient);
  const [paused, setPaused] = useState(false);
  useEffect(() => (paused || !events ? undefined : followEvents(client)), [client, events, paused]);
  const live = useMemo(() => ({ paused, setPaused }), [paused]);
  return (
    <QueryClientProvider client={client}>
      <LiveContext.Provider value={live}>{children}</LiveContext.Provider>
    </QueryClientProvider>
  );
}

function followEvents(client: QueryClient): () => void {
  const source = new EventSource(`/api/v1${apiPaths.events()}`);
  const waiting = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const refresh = () => {
    timer = null;
    const topics = [...waiting];
    waiting.clear();
    void client.invalidateQueries(
      { predicate: ({ queryKey: [path] }) => typeof path === 'string' && topics.some((topic) => touches(topic, path)) },
      { cancelRefetch: false },
    );
  };
  source.addEventListener('message', (event: MessageEvent<string>) => {
    const topic = topicOf(event.data);
    if (topic === null) return;
    waiting.add(topic);
    timer ??= setTimeout(refresh, EVENT_PAUSE_MS);
  });
  return () => {
    source.close();
    if (timer !== null) clearTimeout(timer);
  };
}

/**
 * One view of the API, kept fresh while the page shows it. Old data stays while newer is fetched or fails to come.
 *
 * @param path null while it is not yet known what to ask
 */
export function useView<T>(path: string | null, schema: AnswerSchema<T>, options: { refreshMs?: number } = {}): UseQueryResult<T> {
  const { paused } = useLive();
  return useQuery({
    queryKey: [path],
    queryFn: async ({ signal }) => request(path ?? '', schema, { signal }),
    enabled: path !== null,
    refetchInterval: paused ? false : (options.refreshMs ?? REFRESH_MS),
    // A changed window keeps the last picture until the new one is there: no flicker, no jump.
    placeholderData: (previous, query) => (sameSubject(query?.queryKey[0], path) ? previous : undefined),
  });
}

/** True when two paths ask for the same thing over different windows of time. */
function sameSubject(a: unknown, b: string | null): boolean {
  return typeof a === 'string' && b !== null && withoutWindow(a) === withoutWindow(b);
}

function withoutWindow(path: string): string {
  const [base = '', query = ''] = path.split('?');
  const params = new URLSearchParams(query);
  params.delete('window');
  return `${base}?${params.toString()}`;
}

let current = 0;
const listeners = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | null = null;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  current = Date.now();
  ticking ??= setInterval(() => {
    current = Date.now();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && ticking !== null) {
      clearInterval(ticking);
      ticking = null;
    }
  };
}

/** The browser's clock in milliseconds, renewed each second; null while rendering on the server. */
export function useNow(): number | null {
  return useSyncExternalStore(subscribe, () => (current === 0 ? (current = Date.now()) : current), () => null);
}
