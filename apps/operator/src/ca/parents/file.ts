import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { digestOf } from '../ca-entries.ts';
import { checkChain, splitChain } from './check-chain.ts';
import { type ParentCa, type ParentCertificate, ParentError } from './parent.ts';

const MAX_FILE = 256 * 1024;

interface FileOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly trustDomain: string;
  /** Called when the files may have changed. */
  readonly onChange: () => void;
  /** False where the file system cannot be watched; each question reads the files in any case. */
  readonly watch?: boolean;
}

/**
 * An intermediate in files. They are read at each question, which the controller asks every second: a watch alone can
 * miss a change (linkerd2#15109), and a mounted Secret is swapped as a link of a directory. The watch only ends a wait
 * after a refusal.
 */
export class FileParent implements ParentCa {
  readonly kind = 'file';
  readonly #options: FileOptions;
  readonly #watchers: FSWatcher[] = [];

  constructor(options: FileOptions) {
    this.#options = options;
    if (options.watch === false) return;
    for (const directory of new Set([dirname(options.certificateFile), dirname(options.keyFile)])) this.#watch(directory);
  }

  /** The fingerprint of the chain; '' when there is none that can be read, which no root has. */
  offered(): string {
    try {
      return digestOf(splitChain(read(this.#options.certificateFile)));
    } catch {
      return '';
    }
  }

  obtain(now: number): Promise<ParentCertificate> {
    // What is thrown becomes a rejection.
    return Promise.resolve().then(() => this.#read(now));
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #read(now: number): ParentCertificate {
    const { certificateFile, keyFile, trustDomain } = this.#options;
    const privateKey = parseKey(read(keyFile), keyFile);
    try {
      const blocks = splitChain(read(certificateFile));
      const keys = { privateKey, publicKey: createPublicKey(privateKey) };
      return { parent: 'file', keys, offer: digestOf(blocks), ...checkChain(blocks, privateKey, trustDomain, now) };
    } catch (error) {
      if (error instanceof ParentError) throw new ParentError(`${certificateFile}: ${error.message}`);
      throw error;
    }
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, () => this.#options.onChange());
      watcher.on('error', () => watcher.close());
      watcher.unref();
      this.#watchers.push(watcher);
    } catch {
      // Not there yet, or a file system without notices: the poll finds it.
    }
  }
}

function read(path: string): string {
  try {
    if (statSync(path).size > MAX_FILE) throw new ParentError(`${path} is larger than ${MAX_FILE} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ParentError) throw error;
    throw new ParentError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}); check that it is mounted and readable for the operator`);
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new ParentError(`${path} holds no private key in PEM without a passphrase`);
  }
}
