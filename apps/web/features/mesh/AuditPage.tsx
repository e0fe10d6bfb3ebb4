'use client';
import { auditView, type AuditEntry } from '@sallyport/shared/api';
import { useState } from 'react';
import { At } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useUrlState } from '#lib/urlState.ts';
import { Button } from '#ui/Button.tsx';
import { Code } from '#ui/Code.tsx';
import { Notice } from '#ui/Notice.tsx';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

export function AuditPage() {
  const denied = useWhyNot('auditor');
  const url = useUrlState();
  const before = Number.parseInt(url.get('before'), 10);
  const from = Number.isSafeInteger(before) && before > 0 ? before : undefined;
  const audit = useView(denied === null ? apiPaths.audit(from) : null, auditView);
  return (
    <>
      <PageHead title="Audit log" lead="Every write by console, API and command line: who, what, when, before and after. Each entry carries the hash of the one before it." />
      {denied !== null ? <Notice tone="info" title="You may not read the audit log"><p>{denied}</p></Notice> : (
        <View query={audit} subject="the audit log" lines={10}>
          {(data) => (
            <>
              {data.chain === 'broken' && (
                <Notice tone="bad" urgency="alert" title="The hash chain is broken">
                  <p>At least one entry was changed, removed or put in after it was written. Do not rely on this log; keep the database as it is and find out who could write to it.</p>
                </Notice>
              )}
              <Panel
                title="Entries"
                note={plural(data.items.length, 'entry', 'entries')}
                actions={data.chain === 'intact' ? <Tag tone="ok">chain intact</Tag> : <Tag tone="bad">chain broken</Tag>}
                flush
              >
                <EntryTable items={data.items} />
              </Panel>
              <div className="row">
                {from !== undefined && <Button onPress={() => url.set({ before: '' }, 'push')}>Newest</Button>}
                {data.next !== null && <Button onPress={() => url.set({ before: String(data.next) }, 'push')}>Older</Button>}
              </div>
            </>
          )}
        </View>
      )}
    </>
  );
}

function EntryTable({ items }: { items: readonly AuditEntry[] }) {
  return (
    <Table
      caption="Audit entries, newest first"
      rows={items}
      rowKey={(entry) => String(entry.seq)}
      empty="Nothing has been written yet."
      columns={[
        { name: 'No.', right: true, render: (entry) => entry.seq },
        { name: 'When', render: (entry) => <At at={entry.at} /> },
        { name: 'Who', render: (entry) => entry.actor },
        { name: 'Via', render: (entry) => entry.via },
        { name: 'Did', rowHead: true, render: (entry) => entry.action },
        { name: 'To', render: (entry) => <span className="mono wrap">{entry.resource}</span> },
        { name: 'Before and after', render: (entry) => <Change entry={entry} /> },
        { name: 'Hash', render: (entry) => <span className="mono" title={`${entry.hash} after ${entry.previousHash}`}>{entry.hash.slice(0, 12)}…</span> },
      ]}
    />
  );
}

function Change({ entry }: { entry: AuditEntry }) {
  const [open, setOpen] = useState(false);
  const nothing = (value: unknown) => value === null || value === undefined;
  if (nothing(entry.before) && nothing(entry.after)) return <span className="muted">none recorded</span>;
  return (
    <div className="stack" style={{ gap: 6 }}>
      <div>
        <Button kind="quiet" expanded={open} onPress={() => setOpen(!open)}>{open ? 'Hide' : 'Show'}<span className="visually-hidden"> change {entry.seq}</span></Button>
      </div>
      {open && (
        <>
          <Code label={`Before, entry ${entry.seq}`} text={nothing(entry.before) ? '(did not exist)' : JSON.stringify(entry.before, null, 2)} />
          <Code label={`After, entry ${entry.seq}`} text={nothing(entry.after) ? '(deleted)' : JSON.stringify(entry.after, null, 2)} />
        </>
      )}
    </div>
  );
}
