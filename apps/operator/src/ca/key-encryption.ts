import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Keys cannot be read or kept; the message names the file and the remedy, and never a key. */
export class KeyStoreError extends Error {
  override readonly name = 'KeyStoreError';
}

const base64 = z.base64();
const sealedKey = z.strictObject({
  sallyport: z.literal('wrapped-key'),
  algorithm: z.literal('A256GCM'),
  /** Tells a wrong key-encryption key from a damaged file; says nothing of the key. */
  kek: z.string(),
  iv: base64,
  tag: base64,
  ciphertext: base64,
});

/** Whether a key file is wrapped rather than plain PEM. */
export function isSealed(text: string): boolean {
  return text.trimStart().startsWith('{');
}

/**
 * Wraps private keys by AES-256-GCM under a key-encryption key (KEK). With the KEK on another medium than the keys (a
 * mounted secret), a copy of the state directory, a backup or a volume snapshot shows no key. With the KEK beside them
 * it only keeps keys out of greps and stray copies of single files: whoever reads the directory has both.
 */
export class KeyEncryption {
  readonly #directory: string;
  readonly #file: string;
  readonly #generated: boolean;
  #key: Buffer | null = null;

  constructor(directory: string, kekFile: string | null) {
    this.#directory = directory;
    this.#generated = kekFile === null;
    this.#file = kekFile ?? join(directory, 'kek');
  }

  seal(name: string, text: string): string {
    const key = this.#load();
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(context(name));
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    const sealed: z.infer<typeof sealedKey> = {
      sallyport: 'wrapped-key', algorithm: 'A256GCM', kek: idOf(key),
      iv: iv.toString('base64'), tag: cipher.getAuthTag().toString('base64'), ciphertext: ciphertext.toString('base64'),
    };
    return `${JSON.stringify(sealed)}\n`;
  }

  /** @throws KeyStoreError for another KEK, a damaged file, or a file that was renamed */
  open(name: string, text: string): string {
    const key = this.#load();
    const sealed = parse(name, text);
    if (sealed.kek !== idOf(key)) {
      throw new KeyStoreError(`${name} is wrapped under another key-encryption key than the one in ${this.#file}; put the right one there (SALLYPORT_KEK_FILE), nothing was changed`);
    }
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(sealed.iv, 'base64'), { authTagLength: 16 });
      decipher.setAAD(context(name)).setAuthTag(Buffer.from(sealed.tag, 'base64'));
      return Buffer.concat([decipher.update(Buffer.from(sealed.ciphertext, 'base64')), decipher.final()]).toString('utf8');
    } catch {
      throw new KeyStoreError(`${name} is damaged or stands under another name than it was written; restore it from a backup`);
    }
  }

  #load(): Buffer {
    this.#key ??= existsSync(this.#file) ? readKek(this.#file) : this.#generate();
    return this.#key;
  }

  /** A new KEK, unless keys are there that only a lost one opens. */
  #generate(): Buffer {
    if (!this.#generated) throw new KeyStoreError(`the key-encryption key ${this.#file} is not there; mount it, or make one with: openssl rand -base64 32`);
    const orphan = readdirSync(this.#directory).find((name) => name.endsWith('.key') && isSealed(readFileSync(join(this.#directory, name), 'utf8')));
    if (orphan !== undefined) {
      throw new KeyStoreError(`${orphan} is wrapped and its key-encryption key ${this.#file} is not there; restore it, or set SALLYPORT_KEK_FILE to where it is now`);
    }
    const key = randomBytes(32);
    writeFileSync(this.#file, `${key.toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    return key;
  }
}

/** 32 bytes as base64, hexadecimal or raw. */
function readKek(file: string): Buffer {
  const raw = readFileSync(file);
  const text = raw.toString('latin1').trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Buffer.from(text, 'base64');
  if (raw.length === 32) return raw;
  throw new KeyStoreError(`${file} is no key-encryption key: 32 bytes as base64, hexadecimal or raw; make one with: openssl rand -base64 32`);
}

function parse(name: string, text: string): z.infer<typeof sealedKey> {
  try {
    return sealedKey.parse(JSON.parse(text));
  } catch {
    throw new KeyStoreError(`${name} is no wrapped key; restore it from a backup`);
  }
}

/** Binds a ciphertext to its name: an issuer's key put in the place of a root's is refused. */
function context(name: string): Buffer {
  return Buffer.from(`sallyport-key:${name}`);
}

function idOf(key: Buffer): string {
  return createHash('sha256').update('sallyport-kek-id').update(key).digest('hex').slice(0, 16);
}
