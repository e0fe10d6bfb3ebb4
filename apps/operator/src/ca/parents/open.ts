import type { Mesh } from '@sallyport/shared/resources';
import { FileParent } from './file.ts';
import type { ParentCa } from './parent.ts';
import { VaultParent } from './vault.ts';

/** The adapter for a configured parent; null when we are our own, hold no CA, or have none for it. */
export function openParent(ca: Mesh['spec']['ca'], trustDomain: string, onChange: () => void): ParentCa | null {
  if (ca.file) return new FileParent({ ...ca.file, trustDomain, onChange });
  if (ca.vault) return new VaultParent(ca.vault, trustDomain);
  return null;
}
