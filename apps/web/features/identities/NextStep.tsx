'use client';
import type { CaCertificate, CaView } from '@sallyport/shared/api';
import styles from './Identities.module.css';
import { stepName, waitingFor } from './rotation.ts';
import { Ago, At } from '../shell/Ago.tsx';

interface NextStepProps {
  readonly entry: CaCertificate;
  readonly activation: CaView['lifetimes']['rootActivation'];
}

/** What happens to a certificate next, and when or after whom. */
export function NextStep({ entry, activation }: NextStepProps) {
  const name = stepName(entry);
  if (entry.next === null || name === null) return <span className="muted">{entry.state === 'removed' ? 'none' : 'none of its own'}</span>;
  if (entry.next.at === null) return <>{name}: {waitingFor(entry, activation)}</>;
  return <>{name} <Ago at={entry.next.at} /> <span className={styles.nowrap}>(<At at={entry.next.at} />)</span></>;
}
