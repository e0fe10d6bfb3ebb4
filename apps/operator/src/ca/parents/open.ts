import type { Mesh } from '@sallyport/shared/resources';
import { CertManagerParent, type Cluster } from './cert-manager.ts';
import { FileParent } from './file.ts';
import type { ParentCa } from './parent.ts';
import { PatientParent } from './patient.ts';
import { VaultParent } from './vault.ts';

/** The adapter for a configured parent; null when we are our own, hold no CA, or have no way to it. */
export function openParent(ca: Mesh['spec']['ca'], trustDomain: string, cluster: Cluster | null): ParentCa | null {
  if (ca.certManager) return cluster && new PatientParent(new CertManagerParent(ca.certManager, trustDomain, cluster));
  if (ca.vault) return new PatientParent(new VaultParent(ca.vault, trustDomain));
  if (!ca.file) return null;
  const parent: PatientParent = new PatientParent(new FileParent({ ...ca.file, trustDomain, onChange: () => parent.again() }));
  return parent;
}
