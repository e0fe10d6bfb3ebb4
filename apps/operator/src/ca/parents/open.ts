import type { Mesh } from '@sallyport/shared/resources';
import { FileParent } from './file.ts';
import type { ParentCa } from './parent.ts';
import { PatientParent } from './patient.ts';
import { VaultParent } from './vault.ts';

/** The adapter for a configured parent; null when we are our own, hold no CA, or have none for it. */
export function openParent(ca: Mesh['spec']['ca'], trustDomain: string): ParentCa | null {
  if (ca.vault) return new PatientParent(new VaultParent(ca.vault, trustDomain));
  if (!ca.file) return null;
  const parent: PatientParent = new PatientParent(new FileParent({ ...ca.file, trustDomain, onChange: () => parent.again() }));
  return parent;
}
