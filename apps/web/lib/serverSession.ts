import { cookies } from 'next/headers';
import { sessionView, type SessionView } from '@sallyport/shared/api';

/**
 * The session of the page's request, as the operator sees it. Runs on the server only.
 *
 * @returns the session; `ended` when there is none or it is over; `unreachable` when the operator does not answer
 */
export async function readSession(): Promise<SessionView | 'ended' | 'unreachable'> {
  const jar = await cookies();
  const base = process.env['SALLYPORT_API_URL'] ?? 'http://127.0.0.1:8470';
  try {
    const answer = await fetch(new URL('/api/v1/session', base), {
      headers: { cookie: jar.toString() },
      cache: 'no-store',
      signal: AbortSignal.timeout(5_000),
    });
    if (answer.status === 401) return 'ended';
    const parsed = sessionView.safeParse(await answer.json());
    return parsed.success ? parsed.data : 'unreachable';
  } catch {
    return 'unreachable';
  }
}
