import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Parent, RotationPolicy } from '@sallyport/shared/pki';
import { Authority, type IssuedSvid } from './authority.ts';
import { CaStore } from './ca-store.ts';
import { KeyFiles, newKeyPair } from './key-files.ts';
import type { ParentCa } from './parents/parent.ts';
import { Rotation, type TakenStep } from './rotation.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const START = Date.UTC(2026, 10, 25);
export const TRUST_DOMAIN = 'shop.test';

/** A CA on a disk of its own and a clock that the test owns. */
export class TestCa {
  readonly directory: string;
  now = START;
  policy: RotationPolicy = { leaf: MINUTE, issuer: 6 * MINUTE, root: 12 * MINUTE, manual: false };
  lagging: readonly string[] = [];
  federated = false;
  parent: ParentCa | null = null;
  wanted: Parent = 'selfSigned';
  store!: CaStore;
  authority!: Authority;
  rotation!: Rotation;

  constructor(directory = mkdtempSync(join(tmpdir(), 'ca-'))) {
    this.directory = directory;
    this.open();
  }

  /** Opens the state directory as a start of the operator does. */
  open(kekFile: string | null = null): void {
    this.store = CaStore.open(new KeyFiles(this.directory, kekFile), TRUST_DOMAIN, this.now);
    this.authority = new Authority({ store: this.store, now: () => this.now });
    this.rotation = new Rotation({
      store: this.store,
      now: () => this.now,
      policy: () => this.policy,
      constrained: () => true,
      parent: () => this.parent,
      wanted: () => this.wanted,
      lagging: () => Promise.resolve(this.lagging),
      federated: () => this.federated,
    });
  }

  /** Takes the steps that are due. @throws what the parent refused with */
  async tick(): Promise<TakenStep[]> {
    let refusal: Error | null = null;
    const steps = await this.rotation.tick((error) => {
      refusal = error;
    });
    if (refusal) throw refusal as Error;
    return steps;
  }

  async issue(id = 'spiffe://shop.test/ns/shop/sa/web'): Promise<IssuedSvid> {
    return this.authority.issueSvid(id, (await newKeyPair()).publicKey, this.policy.leaf);
  }

  /** Ids by role and state, for example `root active`. */
  states(): string[] {
    return this.store.document.entries.map(({ role, state }) => `${role} ${state}`);
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Whether a chain leads, link by link and within every validity, to one of the roots. */
export function leadsTo(chain: readonly string[], roots: readonly string[], now: number): boolean {
  const parsed = chain.map((pem) => new X509Certificate(pem));
  const anchors = roots.map((pem) => new X509Certificate(pem));
  const valid = (certificate: X509Certificate) => certificate.validFromDate.getTime() <= now && now < certificate.validToDate.getTime();
  const signs = (below: X509Certificate, above: X509Certificate) => below.checkIssued(above) && below.verify(above.publicKey);
  for (const [index, certificate] of parsed.entries()) {
    if (!valid(certificate)) return false;
    if (anchors.some((anchor) => valid(anchor) && signs(certificate, anchor))) return true;
    const above = parsed[index + 1];
    if (!above || !signs(certificate, above)) return false;
  }
  return false;
}
