'use client';
import type { Role, SessionView } from '@sallyport/shared/api';
import { createContext, useContext, type ReactNode } from 'react';
import { whyNot } from './roles.ts';

const SessionContext = createContext<SessionView | null>(null);

/** Gives the page its session; null when the operator could not be asked, and then no write is offered. */
export function SessionProvider({ session, children }: { session: SessionView | null; children: ReactNode }) {
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>;
}

/** The signed-in user's session, or null when the operator could not be reached while the page was made. */
export function useSession(): SessionView | null {
  return useContext(SessionContext);
}

/** Why the signed-in user may not do what a role may; null when they may. */
export function useWhyNot(needed: Role): string | null {
  const session = useSession();
  if (session === null) return 'Your session could not be checked, because the operator does not answer. Reload once it does.';
  return whyNot(session.user.roles, needed);
}
