'use client';
import type { CaCertificate, CaView } from '@sallyport/shared/api';
import styles from './Identities.module.css';
import { Life } from './Life.tsx';
import { NextStep } from './NextStep.tsx';
import { shortName } from './rotation.ts';
import { Ago } from '../shell/Ago.tsx';
import { cx } from '#ui/cx.ts';
import { plural } from '#lib/format.ts';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

export const STATE_TONE: Readonly<Record<CaCertificate['state'], Tone>> = { prepared: 'idle', published: 'info', active: 'ok', old: 'idle', removed: 'idle' };

/** Every CA certificate and entry of the trust bundle, newest first, with its expiry. */
export function CaTable({ ca }: { ca: CaView }) {
  const subjects = new Map(ca.certificates.map(({ id, subject }) => [id, shortName(subject, ca.trustDomain)]));
  return (
    <Panel title="CA certificates and bundle entries" note={`${plural(ca.certificates.length, 'certificate')}, newest first; of those removed the last ten`} flush>
      <Table
        caption="CA certificates and bundle entries"
        rows={ca.certificates}
        rowKey={({ id }) => id}
        empty="There is no certificate: this mesh’s identities come from elsewhere, or the CA has not begun."
        columns={[
          { name: 'Subject', rowHead: true, render: ({ role, subject }) => <span title={subject}>{shortName(subject, ca.trustDomain)}<span className={styles.above}>{role}</span></span> },
          { name: 'State', render: ({ state, since }) => <><Tag tone={STATE_TONE[state]} mark={state === 'active' ? '✓' : ''}>{state}</Tag><span className={styles.above}><Ago at={since} /></span></> },
          { name: 'In bundle', render: ({ role, inBundle, sequence }) => (inBundle ? `since bundle ${sequence ?? 'one'}` : <span className="muted">{role === 'issuer' ? 'issuers never are' : 'no'}</span>) },
          { name: 'Leads to', render: ({ role, root, parent, chain }) => <span className="wrap">{role === 'root' ? parent : (subjects.get(root) ?? root)}{chain.length > 0 && <span className="muted"> and {plural(chain.length, 'certificate')} of the parent</span>}</span> },
          { name: 'Life passed', render: (entry) => <Life used={entry.lifetimeUsed} tone={entry.state === 'removed' ? 'idle' : entry.lifetimeUsed >= 1 ? 'bad' : 'info'} mark={0.5} note="its successor is prepared at 50 %" /> },
          { name: 'Ends', right: true, render: ({ notAfter }) => <Ago at={notAfter} /> },
          { name: 'Next step', render: (entry) => <NextStep entry={entry} ca={ca} /> },
          { name: 'Fingerprint (SHA-256)', render: ({ fingerprint }) => <span className={cx('mono', 'wrap', styles.fingerprint)}>{fingerprint}</span> },
        ]}
      />
    </Panel>
  );
}
