import { z } from 'zod';

/** Instants travel as ISO 8601 text in UTC with milliseconds. */
export const instant = z.iso.datetime();
export const windowView = z.strictObject({ from: instant, to: instant });

/** How much of the window the expected proxies really reported. Less than full coverage is never proof of silence. */
export const coverageView = z.strictObject({
  proxiesExpected: z.int(),
  proxiesReporting: z.int(),
  /** Share of proxy-time in the window that was reported, 0 to 1; null when no proxy was expected. */
  share: z.number().min(0).max(1).nullable(),
  /** From when telemetry was owed at all: later than the window's start when every proxy was enrolled later. Before it nobody looked. */
  since: instant.nullable(),
  proxies: z.array(
    z.strictObject({
      name: z.string(),
      share: z.number().min(0).max(1),
      /** When its telemetry last arrived; null if never. */
      lastReport: instant.nullable(),
      /** True when it reported within the freshness limit (15 s). */
      live: z.boolean(),
      gaps: z.array(windowView),
    }),
  ),
});
export type CoverageView = z.infer<typeof coverageView>;
export type WindowView = z.infer<typeof windowView>;

/** Every error of the API has this body. `details` name the place: a field, a line, a resource. */
export const apiError = z.strictObject({
  error: z.strictObject({
    code: z.enum([
      'invalid', 'unauthenticated', 'forbidden', 'not-found', 'conflict', 'too-large', 'rate-limited', 'unavailable',
      'precondition', 'internal',
    ]),
    message: z.string(),
    remedy: z.string().optional(),
    details: z.array(z.strictObject({ resource: z.string(), field: z.string(), message: z.string() })).optional(),
  }),
});
export type ApiError = z.infer<typeof apiError>;

export const ROLES = ['viewer', 'editor', 'approver', 'auditor'] as const;
export const role = z.enum(ROLES);
export type Role = z.infer<typeof role>;

export const signInRequest = z.strictObject({ username: z.string().min(1).max(64), password: z.string().min(1).max(256) });
/** `csrfToken` must come back as header `x-csrf-token` on every write that is signed in by cookie. */
export const sessionView = z.strictObject({
  user: z.strictObject({ username: z.string(), roles: z.array(role) }),
  csrfToken: z.string(),
  expiresAt: instant,
});
/** Answer to a sign-in that asked for a bearer token (`?token=true`, for the command line). */
export const tokenView = sessionView.extend({ token: z.string() });
export type SessionView = z.infer<typeof sessionView>;
