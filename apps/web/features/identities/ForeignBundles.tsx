'use client';
import type { CaView } from '@sallyport/shared/api';
import styles from './Identities.module.css';
import { Life } from './Life.tsx';
import { Ago } from '../shell/Ago.tsx';
import { plural } from '#lib/format.ts';
import { cx } from '#ui/cx.ts';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

/** What we trust of other trust domains, entry by entry, with its expiry. */
export function ForeignBundles({ ca }: { ca: CaView }) {
  const domains = new Set(ca.foreign.map(({ trustDomain }) => trustDomain));
  return (
    <Panel title="Bundles of other trust domains" note={`${plural(domains.size, 'trust domain')}, ${plural(ca.foreign.length, 'entry', 'entries')}`} flush>
      <Table
        caption="Entries of the bundles of other trust domains"
        rows={ca.foreign}
        rowKey={({ trustDomain, use, subject, fingerprint }) => `${trustDomain} ${use} ${fingerprint ?? subject}`}
        empty="No bundle of another trust domain is held: their calls are refused."
        columns={[
          { name: 'Trust domain', rowHead: true, render: ({ trustDomain }) => <span className="wrap">{trustDomain}</span> },
          { name: 'Entry', render: ({ use, subject }) => <span className="wrap">{subject}<span className={styles.above}>{use === 'x509-svid' ? 'root' : 'key for JWT-SVIDs'}</span></span> },
          { name: 'Life passed', render: ({ lifetimeUsed }) => (lifetimeUsed === null ? <span className="muted">keys have no end</span> : <Life used={lifetimeUsed} tone={lifetimeUsed >= 1 ? 'bad' : 'info'} mark={0.5} note="theirs to follow" />) },
          { name: 'Ends', right: true, render: ({ notAfter, lifetimeUsed }) => (notAfter === null ? <span className="muted">with their bundle</span> : <>{lifetimeUsed !== null && lifetimeUsed >= 1 && <Tag tone="bad">expired</Tag>} <Ago at={notAfter} /></>) },
          { name: 'Fingerprint (SHA-256)', render: ({ fingerprint }) => <span className={cx('mono', 'wrap', styles.fingerprint)}>{fingerprint ?? '–'}</span> },
        ]}
      />
    </Panel>
  );
}
