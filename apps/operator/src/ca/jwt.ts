import { randomBytes } from 'node:crypto';
import { type JwtAuthority, signJwtSvid } from '@sallyport/shared/pki';
import { z } from 'zod';
import { type KeyFiles, newKeyPair } from './key-files.ts';

const HOUR = 3_600_000;
/** identity-pki.md §5: JWT-SVIDs live for 5 minutes. */
const TOKEN_SECONDS = 300;
/** A key signs for so long. Its successor is in the bundle for half of that before it signs: three days are many refresh hints. */
const SIGNING = 7 * 24 * HOUR;
/** A key stays in the bundle for longer than any token that it signed. */
const RETIRED = HOUR;
const DOCUMENT = 'jwt.json';

const document = z.strictObject({
  sequence: z.int().min(1),
  keys: z.array(z.strictObject({
    kid: z.string(),
    jwk: z.record(z.string(), z.string()),
    state: z.enum(['published', 'active', 'old']),
    /** When it came into this state, in ms since the epoch. */
    since: z.number(),
  })),
});
type Document = z.infer<typeof document>;
type Key = Document['keys'][number];

/** Signs JWT-SVIDs, with keys of its own: whoever has one can make no certificate. */
export class JwtIssuer {
  readonly #files: KeyFiles;
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  #document: Document;

  private constructor(files: KeyFiles, now: () => number, stored: Document) {
    this.#files = files;
    this.#now = now;
    this.#document = stored;
  }

  /** Takes up the stored keys, or makes the first. @throws Error when what is stored cannot be read */
  static async open(files: KeyFiles, now: () => number): Promise<JwtIssuer> {
    const text = files.read(DOCUMENT);
    const issuer = new JwtIssuer(files, now, text === null ? { sequence: 1, keys: [] } : document.parse(JSON.parse(text)));
    await issuer.tick();
    return issuer;
  }

  /** The public keys for the trust bundle. */
  get keys(): JwtAuthority[] {
    return this.#document.keys.map(({ kid, jwk }) => ({ kid, jwk }));
  }

  /** Grows with every change of {@link keys}. */
  get sequence(): number {
    return this.#document.sequence;
  }

  /** Calls back when {@link keys} changed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Signs for an identity that was attested. Times in ms since the epoch. */
  sign(spiffeId: string, audience: readonly string[]): { token: string; expiresAt: number; kid: string } {
    const active = this.#document.keys.find(({ state }) => state === 'active');
    const keys = active && this.#files.readKey(fileOf(active));
    if (!active || !keys) throw new Error('there is no key for JWT-SVIDs; restore the operator’s state directory from a backup');
    const iat = Math.floor(this.#now() / 1000);
    const exp = iat + TOKEN_SECONDS;
    return { token: signJwtSvid({ sub: spiffeId, aud: audience, iat, exp }, active.kid, keys.privateKey), expiresAt: exp * 1000, kid: active.kid };
  }

  /** Prepares, activates and removes keys as their time comes. */
  async tick(): Promise<void> {
    const now = this.#now();
    const kept = this.#document.keys.filter(({ state, since }) => state !== 'old' || now < since + RETIRED);
    const next = turned(kept, now);
    const active = next.find(({ state }) => state === 'active');
    if (!active) next.push(await this.#create('active', now));
    else if (now >= active.since + SIGNING / 2 && !next.some(({ state }) => state === 'published')) next.push(await this.#create('published', now));
    this.#save(next);
  }

  async #create(state: Key['state'], since: number): Promise<Key> {
    const keys = await newKeyPair();
    const { kty, crv, x, y } = keys.publicKey.export({ format: 'jwk' });
    const key = { kid: randomBytes(8).toString('hex'), jwk: { kty: String(kty), crv: String(crv), x: String(x), y: String(y) }, state, since };
    this.#files.writeKey(fileOf(key), keys.privateKey);
    return key;
  }

  #save(keys: Key[]): void {
    const before = this.#document;
    if (JSON.stringify(keys) === JSON.stringify(before.keys)) return;
    this.#document = { sequence: before.sequence + 1, keys };
    this.#files.write(DOCUMENT, JSON.stringify(this.#document));
    for (const key of before.keys) if (!keys.some(({ kid }) => kid === key.kid)) this.#files.remove(fileOf(key));
    for (const listener of this.#listeners) listener();
  }
}

/** The successor signs, once it was published for long enough and the active key did its time. */
function turned(keys: readonly Key[], now: number): Key[] {
  const active = keys.find(({ state }) => state === 'active');
  const successor = keys.find(({ state }) => state === 'published');
  if (!active || !successor || now < active.since + SIGNING) return [...keys];
  return keys.map((key) => (key === active ? { ...key, state: 'old', since: now } : key === successor ? { ...key, state: 'active', since: now } : key));
}

function fileOf({ kid }: Pick<Key, 'kid'>): string {
  return `jwt-${kid}.key`;
}
