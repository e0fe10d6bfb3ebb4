import { duration, durationMs, isKind, KINDS, type Kind } from '@sallyport/shared/resources';
import type { Context } from 'hono';
import type { z } from 'zod';
import { ApiFailure } from './errors.ts';

const DEFAULT_WINDOW = '15m';
const LONGEST_WINDOW_MS = 31 * 24 * 3_600_000;

/** The request's JSON body, checked. @throws ApiFailure naming the field */
export async function jsonBody<S extends z.ZodType>(c: Context, schema: S): Promise<z.infer<S>> {
  let value: unknown;
  try {
    value = await c.req.json();
  } catch {
    throw new ApiFailure('invalid', 'the body is not JSON', 'send a JSON object with content-type application/json');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue?.path.join('.') || 'body';
  throw new ApiFailure('invalid', `${place}: ${issue?.message ?? 'is not valid'}`, 'correct the named field; nothing was changed');
}

/** A window parameter in ms. @throws ApiFailure when it is no duration or longer than 31 days */
export function windowMs(text: string | undefined): number {
  const value = text ?? DEFAULT_WINDOW;
  const ms = duration.safeParse(value).success ? durationMs(value) : Number.NaN;
  if (!(ms >= 1_000 && ms <= LONGEST_WINDOW_MS)) throw new ApiFailure('invalid', `window: "${value.slice(0, 40)}" is not a duration from 1s to 744h`, 'use for example 15m, 1h or 24h');
  return ms;
}

/** A whole number from a query, within bounds. @throws ApiFailure */
export function count(name: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) throw new ApiFailure('invalid', `${name}: must be a whole number from 1 to ${most}`);
  return value;
}

/** A kind by its name, plural or short name, in any case. @throws ApiFailure listing the kinds */
export function kindOf(text: string): Kind {
  if (isKind(text)) return text;
  const wanted = text.toLowerCase();
  const found = Object.entries(KINDS).find(([name, { plural, short }]) => [name.toLowerCase(), plural, short].includes(wanted));
  if (found) return found[0] as Kind;
  throw new ApiFailure('not-found', `there is no kind "${text.slice(0, 63)}"`, `kinds are ${Object.keys(KINDS).join(', ')}`);
}
