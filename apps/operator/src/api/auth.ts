import { timingSafeEqual } from 'node:crypto';
import type { Role } from '@sallyport/shared/api';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import { findSession, type SignedIn } from '../history/users.ts';
import type { Database } from '../store/postgres/client.ts';
import type { WriteContext } from '../store/ports.ts';
import { ApiFailure } from './errors.ts';

export const SESSION_COOKIE = 'sallyport_session';
const SAFE = new Set(['GET', 'HEAD']);

/** What handlers find in the request's context. */
export interface ApiEnv {
  Variables: { session: SignedIn; token: string };
}

/**
 * Lets a request pass only when it is signed in, holds the role, and, for a write signed in by cookie, carries the
 * session's CSRF token: a form on another site can send the cookie and cannot read the token.
 */
export function requireRole(database: Database, role: Role | null, now: () => number): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const bearer = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
    const token = bearer ?? getCookie(c, SESSION_COOKIE);
    const session = token === undefined ? null : await findSession(database, token, now());
    if (token === undefined || !session) throw new ApiFailure('unauthenticated', 'not signed in, or the session is over', 'sign in again');
    if (bearer === undefined && !SAFE.has(c.req.method) && !sameText(c.req.header('x-csrf-token') ?? '', session.csrfToken)) {
      throw new ApiFailure('forbidden', 'the write lacks the session’s CSRF token', 'reload the page and try again');
    }
    if (role !== null && !session.roles.includes(role)) {
      throw new ApiFailure('forbidden', `this needs the role ${role}; you have ${session.roles.join(', ') || 'none'}`, 'ask somebody who has the role');
    }
    c.set('session', session);
    c.set('token', token);
    await next();
  };
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Who writes, for ownership and audit. */
export function writeContext(c: Context<ApiEnv>, manager: string, force = false): WriteContext {
  const session = c.get('session');
  return { manager, actor: session.username, via: session.via, force };
}

/** Counts failures by a key; after `limit` in the window further tries are refused until it has passed. */
export class FailureLimit {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor(limit: number, windowMs: number) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  /** @returns seconds to wait, or 0 when a try is allowed */
  blockedFor(key: string, now: number): number {
    const entry = this.#failures.get(key);
    if (!entry || entry.until <= now || entry.count < this.#limit) return 0;
    return Math.ceil((entry.until - now) / 1000);
  }

  fail(key: string, now: number): void {
    if (this.#failures.size > 10_000) this.#failures.clear();
    const entry = this.#failures.get(key);
    if (!entry || entry.until <= now) this.#failures.set(key, { count: 1, until: now + this.#windowMs });
    else entry.count += 1;
  }

  succeed(key: string): void {
    this.#failures.delete(key);
  }
}
