'use client';
import type { CaCertificate, CaView } from '@sallyport/shared/api';
import { STATE_TONE } from './CaTable.tsx';
import styles from './Identities.module.css';
import { NextStep } from './NextStep.tsx';
import { families, stagesOf } from './rotation.ts';
import { Ago, At } from '../shell/Ago.tsx';
import { cx } from '#ui/cx.ts';
import { Tag } from '#ui/Tag.tsx';

const SAID = { done: 'passed', now: 'now', ahead: 'ahead', skipped: 'not needed' } as const;

/** Each root with its issuers, and how far each of them is on its way from prepared to removed. */
export function RotationStepper({ ca }: { ca: CaView }) {
  const groups = families(ca);
  if (groups.length === 0) return <p className="muted">There is no root to rotate.</p>;
  return groups.map(({ root, issuers }) => (
    <section key={root.id} className={styles.family} aria-label={`Root ${root.subject}`}>
      <Steps entry={root} ca={ca} />
      {issuers.map((issuer) => <Steps key={issuer.id} entry={issuer} ca={ca} />)}
    </section>
  ));
}

function Steps({ entry, ca }: { entry: CaCertificate; ca: CaView }) {
  return (
    <div className={cx(styles.entry, entry.role === 'issuer' && styles.below)} data-entry={entry.id}>
      <div className="row">
        <h3>{entry.role === 'root' ? 'Root' : 'Issuer'} {entry.subject}</h3>
        <Tag tone={STATE_TONE[entry.state]} mark={entry.state === 'active' ? '✓' : ''}>{entry.state}</Tag>
        <span className="muted">since <At at={entry.since} />, ends <Ago at={entry.notAfter} /></span>
      </div>
      <ol className={styles.stages} aria-label={`Stages of ${entry.subject}`}>
        {stagesOf(entry).map(({ state, means, progress }) => (
          <li key={state} className={styles.stage} data-progress={progress} aria-current={progress === 'now' ? 'step' : undefined}>
            <span><strong>{state}</strong> <span className="muted">{SAID[progress]}</span></span>
            <span className={styles.means}>{means}</span>
          </li>
        ))}
      </ol>
      <p><span className="muted">Next:</span> <NextStep entry={entry} ca={ca} /></p>
    </div>
  );
}
