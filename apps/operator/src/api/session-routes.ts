import { type SessionView, signInRequest } from '@sallyport/shared/api';
import { Hono } from 'hono';
import { deleteCookie, setCookie } from 'hono/cookie';
import { appendAudit } from '../history/audit.ts';
import { signIn, type SignedIn, signOut } from '../history/users.ts';
import { type ApiEnv, FailureLimit, requireRole, SESSION_COOKIE } from './auth.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ApiFailure } from './errors.ts';
import { jsonBody } from './input.ts';

/** Sign-in, sign-out, who am I. OIDC will be another way to {@link SignedIn}. */
export function sessionRoutes(dependencies: ApiDependencies): Hono<ApiEnv> {
  const { database, now } = dependencies;
  const routes = new Hono<ApiEnv>();
  // By name, since behind the console every request comes from its address: 10 failures in 5 minutes.
  const failures = new FailureLimit(10, 5 * 60_000);
  // Over all names: scrypt costs 64 MiB and 0.2 s a try, so a flood of names must not buy that either.
  const everyone = new FailureLimit(60, 60_000);

  routes.post('/session', async (c) => {
    const { username, password } = await jsonBody(c, signInRequest);
    const wait = Math.max(failures.blockedFor(username, now()), everyone.blockedFor('all', now()));
    if (wait > 0) throw new ApiFailure('rate-limited', `too many failed sign-ins; wait ${wait} s`, 'wait, then try again');
    const wantsToken = c.req.query('token') === 'true';
    const session = await signIn(database, username, password, wantsToken ? 'cli' : 'console', now());
    if (!session) {
      failures.fail(username, now());
      everyone.fail('all', now());
      throw new ApiFailure('unauthenticated', 'name or password is wrong', 'the demo prints them when it starts');
    }
    failures.succeed(username);
    await database.$transaction((tx) => appendAudit(tx, { actor: username, via: session.via, action: 'sign-in', resource: `User/${username}`, before: null, after: null }, now()));
    if (wantsToken) return c.json({ ...viewOf(session), token: session.token });
    const secure = c.req.header('x-forwarded-proto') === 'https';
    setCookie(c, SESSION_COOKIE, session.token, { httpOnly: true, sameSite: 'Strict', path: '/', secure, expires: session.expiresAt });
    return c.json(viewOf(session));
  });

  routes.get('/session', requireRole(database, null, now), (c) => c.json(viewOf(c.get('session'))));

  routes.delete('/session', requireRole(database, null, now), async (c) => {
    await signOut(database, c.get('token'));
    deleteCookie(c, SESSION_COOKIE, { path: '/' });
    return c.body(null, 204);
  });
  return routes;
}

function viewOf(session: SignedIn): SessionView {
  return { user: { username: session.username, roles: [...session.roles] }, csrfToken: session.csrfToken, expiresAt: session.expiresAt.toISOString() };
}
