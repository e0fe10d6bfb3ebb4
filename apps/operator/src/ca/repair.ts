import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { activated, activeEntry, bundleOf, type CaEntry, withPrepared } from '@sallyport/shared/pki';
import { keyName } from './ca-entries.ts';
import { CaStore } from './ca-store.ts';
import { makeIssuer, makeRoot } from './ceremony.ts';
import { KeyStoreError } from './key-encryption.ts';
import { KeyFiles } from './key-files.ts';

export interface RepairOptions {
  readonly directory: string;
  readonly kekFile: string | null;
  readonly trustDomain: string;
  readonly now: number;
  readonly rootLifetime: number;
  readonly issuerLifetime: number;
  /** Go on without keys that cannot be unwrapped: they are set aside, not destroyed. */
  readonly abandonKeys: boolean;
}

/** What was found and made. */
export interface Repair {
  readonly problems: readonly string[];
  readonly made: readonly { readonly role: CaEntry['role']; readonly subject: string }[];
  /** Whether proxies need the new bundle.pem before they can reach the operator. */
  readonly newRoot: boolean;
  readonly bundleFile: string;
}

/**
 * Makes a CA able to issue again, on its state directory and without an operator, a network or anything that has
 * expired (linkerd2#4808: the tool that repaired needed the certificate that was broken).
 *
 * @throws KeyStoreError when the state itself cannot be read
 */
export async function repairCa(options: RepairOptions): Promise<Repair> {
  const { directory, now, trustDomain } = options;
  if (!existsSync(directory)) throw new KeyStoreError(`${directory} is not there; give the operator’s SALLYPORT_STATE_DIR`);
  if (options.abandonKeys) setUnreadableAside(options);
  const store = CaStore.open(new KeyFiles(directory, options.kekFile), trustDomain, now);
  const root = activeEntry(store.document, 'root');
  const issuer = activeEntry(store.document, 'issuer');
  const rootProblem = problemOf(store, root, 'root', now, root?.parent === 'selfSigned');
  const issuerProblem = problemOf(store, issuer, 'issuer', now, true);
  const problems = [rootProblem, issuerProblem].filter((problem) => problem !== null);
  const made: CaEntry[] = [];
  const terms = { trustDomain, now, constrained: true };
  if (problems.length > 0) {
    const sound = root?.parent === 'selfSigned' && rootProblem === null ? root : null;
    const base = sound ?? (await makeRoot(store, { ...terms, lifetime: options.rootLifetime }));
    const next = await makeIssuer(store, base, { ...terms, lifetime: options.issuerLifetime });
    made.push(...(sound ? [next] : [base, next]));
    store.update((document) => activated(withPrepared(document, made, now), sound ? next.id : base.id, now));
  }
  if (bundleOf(store.document).length === 0) throw new KeyStoreError('the repaired CA has no root; report this as a defect');
  return { problems, made: made.map(({ role, subject }) => ({ role, subject })), newRoot: made.length > 1, bundleFile: join(directory, 'bundle.pem') };
}

/** What keeps an entry from its work, or null. @param needsKey whether it signs anything itself */
function problemOf(store: CaStore, entry: CaEntry | null, role: CaEntry['role'], now: number, needsKey: boolean): string | null {
  if (!entry) return `there is no active ${role}`;
  if (entry.notAfter <= now) return `${role} ${entry.subject} expired at ${new Date(entry.notAfter).toISOString()}`;
  const file = keyName(entry.id);
  if (needsKey && store.files.read(file) === null) return `the key of ${role} ${entry.subject} (${file}) is gone`;
  // One that is there and cannot be unwrapped is an error, and not a reason to make another: the right KEK may be at hand.
  if (needsKey) store.keysOf(entry);
  return null;
}

function setUnreadableAside({ directory, kekFile, trustDomain, now }: RepairOptions): void {
  const files = new KeyFiles(directory, kekFile);
  for (const { id, state } of CaStore.open(files, trustDomain, now).document.entries) {
    if (state === 'removed') continue;
    try {
      files.readKey(keyName(id));
    } catch (error) {
      if (!(error instanceof KeyStoreError)) throw error;
      files.setAside(keyName(id));
    }
  }
}
