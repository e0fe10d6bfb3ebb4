'use client';
import type { CaCertificate, CaView } from '@sallyport/shared/api';
import styles from './Identities.module.css';
import { followText, stepName, waitingFor } from './rotation.ts';
import { Ago, At } from '../shell/Ago.tsx';

interface NextStepProps {
  readonly entry: CaCertificate;
  readonly ca: Pick<CaView, 'certificates' | 'lifetimes'>;
}

/** What happens to a certificate next, and when or after whom. */
export function NextStep({ entry, ca }: NextStepProps) {
  const name = stepName(entry);
  if (entry.next === null || name === null) return <span className="muted">{followText(entry, ca.certificates)}</span>;
  if (entry.next.at === null) return <>{name}: {waitingFor(entry, ca.lifetimes.rootActivation)}</>;
  return <>{name} <Ago at={entry.next.at} /> <span className={styles.nowrap}>(<At at={entry.next.at} />)</span></>;
}
