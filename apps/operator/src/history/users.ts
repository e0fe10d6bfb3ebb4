import { createHash, randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Role } from '@sallyport/shared/api';
import type { Database } from '../store/postgres/client.ts';

const scrypt = promisify(scryptCallback) as (password: string, salt: Buffer, length: number, options: object) => Promise<Buffer>;
/** OWASP's second scrypt setting: N = 2^16 costs about 0.2 s and 64 MiB, which rate limiting keeps bounded. */
const COST = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };
const SESSION_MS = 12 * 3_600_000;

async function hashPassword(password: string, salt = randomBytes(16)): Promise<string> {
  const key = await scrypt(password, salt, 32, COST);
  return `scrypt$${COST.N}$${salt.toString('base64')}$${key.toString('base64')}`;
}

async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, , salt = '', key = ''] = stored.split('$');
  const actual = await scrypt(password, Buffer.from(salt, 'base64'), 32, COST);
  const expected = Buffer.from(key, 'base64');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** Creates the user or, when the password no longer fits, sets it; sessions of a changed password end. */
export async function ensureUser(database: Database, username: string, password: string, roles: readonly Role[]): Promise<void> {
  const user = await database.user.findUnique({ where: { username } });
  if (user && (await verifyPassword(password, user.passwordHash))) {
    await database.user.update({ where: { username }, data: { roles: [...roles] } });
    return;
  }
  const passwordHash = await hashPassword(password);
  await database.$transaction([
    database.session.deleteMany({ where: { username } }),
    database.user.upsert({ where: { username }, create: { username, passwordHash, roles: [...roles] }, update: { passwordHash, roles: [...roles] } }),
  ]);
}

export interface SignedIn {
  readonly username: string;
  readonly roles: readonly Role[];
  readonly csrfToken: string;
  readonly expiresAt: Date;
  readonly via: 'console' | 'cli';
}

/** @returns a new session and its secret token, or null when name and password do not fit */
export async function signIn(database: Database, username: string, password: string, via: SignedIn['via'], now: number): Promise<(SignedIn & { token: string }) | null> {
  const user = await database.user.findUnique({ where: { username } });
  // An unknown name costs the same work, so that names cannot be told by time.
  const fits = await verifyPassword(password, user?.passwordHash ?? `scrypt$${COST.N}$AAAA$${'A'.repeat(43)}=`);
  if (!user || !fits) return null;
  const token = randomBytes(32).toString('base64url');
  const csrfToken = randomBytes(24).toString('base64url');
  const expiresAt = new Date(now + SESSION_MS);
  await database.session.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
  await database.session.create({ data: { id: sessionId(token), username, csrfToken, expiresAt, via } });
  return { username, roles: user.roles as Role[], csrfToken, expiresAt, via, token };
}

/** The session of a token, or null when it is unknown or over. */
export async function findSession(database: Database, token: string, now: number): Promise<SignedIn | null> {
  const session = await database.session.findUnique({ where: { id: sessionId(token) }, include: { user: true } });
  if (!session || session.expiresAt.getTime() <= now) return null;
  const { username, csrfToken, expiresAt } = session;
  return { username, roles: session.user.roles as Role[], csrfToken, expiresAt, via: session.via as SignedIn['via'] };
}

/** Ends a session; an unknown one is ended already. */
export async function signOut(database: Database, token: string): Promise<void> {
  await database.session.deleteMany({ where: { id: sessionId(token) } });
}

function sessionId(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
