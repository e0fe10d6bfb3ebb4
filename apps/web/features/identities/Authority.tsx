'use client';
import type { CaView, Certificate } from '@sallyport/shared/api';
import { durationMs } from '@sallyport/shared/resources';
import { acknowledgements } from './rotation.ts';
import { CaTable } from './CaTable.tsx';
import { ForeignBundles } from './ForeignBundles.tsx';
import { RotationActions } from './RotationActions.tsx';
import { RotationStepper } from './RotationStepper.tsx';
import { clock, count, duration, plural, sentence } from '#lib/format.ts';
import { useNow } from '#lib/live.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

interface AuthorityProps {
  readonly ca: CaView;
  /** Null while they are not known. */
  readonly svids: readonly Certificate[] | null;
  /** When the operator answered, in milliseconds. */
  readonly askedAt: number;
}

/** The CA: what signs and is trusted, what comes next, who holds it up, and the ways to rotate it. */
export function Authority({ ca, svids, askedAt }: AuthorityProps) {
  const now = useNow();
  const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, value) => sum + value, 0);
  return (
    <>
      <Troubles ca={ca} />
      <Panel title="Rotation of roots and issuers" note={ca.lifetimes.rootActivation === 'manual' ? 'a published root waits for somebody to activate it' : 'a published root signs as soon as every live proxy has acknowledged it'}>
        <div className="stack">
          <RotationActions ca={ca} />
          <RotationStepper ca={ca} />
        </div>
      </Panel>
      <Acknowledged ca={ca} svids={svids} />
      <CaTable ca={ca} />
      <ForeignBundles ca={ca} />
      <Panel title="Issuance">
        <Stats>
          <Stat name="Issued" value={count(total(ca.issuance.issued))} note={partsOf(ca.issuance.issued)} />
          <Stat name="Refused" value={count(total(ca.issuance.refused))} note={partsOf(ca.issuance.refused)} />
          <Stat name="Record of issuance" value={<Tag tone={ca.record === 'intact' ? 'ok' : 'bad'}>{ca.record}</Tag>} note="its hash chain" />
          <Stat name="Life of an SVID" value={life(ca.lifetimes.leaf)} note={`issuer ${life(ca.lifetimes.issuer)}, root ${life(ca.lifetimes.root)}`} />
        </Stats>
      </Panel>
      <p className="muted">
        Source: the operator’s CA of {ca.trustDomain}{now !== null && <>, as of {clock(askedAt, now)}</>}. Issued and refused count since the operator started. Other trust domains
        are asked to fetch the bundle every {duration(ca.bundle.refreshHint * 1000)}; it also holds {plural(ca.jwtKeys.length, 'key')} for JWT-SVIDs, which turn over by themselves.
      </p>
    </>
  );
}

/** A configured lifetime in the units of the page. */
function life(text: string): string {
  return duration(durationMs(text));
}

function partsOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([name, value]) => `${name} ${count(value)}`).join(', ') || 'none since the operator started';
}

function Troubles({ ca }: { ca: CaView }) {
  const expired = ca.certificates.filter(({ state, lifetimeUsed }) => state !== 'removed' && lifetimeUsed >= 1);
  const { parent } = ca;
  return (
    <>
      {ca.record === 'broken' && <Notice tone="bad" title="The record of issuance is broken"><p>A row of it was changed or removed: what was issued can no longer be proven.</p></Notice>}
      {expired.map(({ id, role, state, subject }) => (
        <Notice key={id} tone="bad" title={`The ${state} ${role} ${subject} has expired`}>
          <p>{state === 'active' ? 'No SVID is issued. Rotate the root, activate it, then give the proxies the new bundle.' : 'What it signed is no longer accepted.'}</p>
        </Notice>
      ))}
      {parent.reason === 'External' && <Notice tone="info" title="No CA for workloads here"><p>{sentence(parent.message)} What is below signs for the operator and the proxies’ talk with it; no mesh link believes it.</p></Notice>}
      {parent.status === 'False' && (
        <Notice tone={parent.reason === 'Rotating' ? 'info' : 'warn'} title={`Anchored elsewhere than asked for (${parent.wanted}): ${parent.reason}`}><p>{sentence(parent.message)}</p></Notice>
      )}
      {ca.lagging.length > 0 && (
        <Notice tone="warn" urgency="status" title={`${plural(ca.lagging.length, 'live proxy has', 'live proxies have')} not acknowledged bundle ${ca.bundle.sequence}`}>
          <p>No new root signs before this: waiting for {ca.lagging.map(({ proxy }) => proxy).join(', ')}. A proxy that is switched off counts until its SVID ends.</p>
        </Notice>
      )}
    </>
  );
}

function Acknowledged({ ca, svids }: Pick<AuthorityProps, 'ca' | 'svids'>) {
  const rows = acknowledgements(ca, svids ?? []);
  const behind = ca.lagging.length;
  return (
    <Panel title="Who has acknowledged the trust bundle" note={svids === null ? 'who is live is not known now' : `bundle ${ca.bundle.sequence} with ${plural(ca.bundle.roots, 'root')}: ${rows.length - behind} of ${plural(rows.length, 'live proxy', 'live proxies')}`} flush>
      <Table
        caption="Acknowledgements of the trust bundle"
        rows={rows}
        rowKey={({ proxy }) => proxy}
        empty="No live proxy: nobody holds an SVID that has not ended."
        columns={[
          { name: 'Proxy', rowHead: true, render: ({ proxy }) => <span className="mono">{proxy}</span> },
          { name: 'State', render: ({ lags }) => (lags ? <Tag tone="warn">lags</Tag> : <Tag tone="ok">acknowledged</Tag>) },
          { name: 'Bundle', render: ({ bundle }) => bundle ?? <span className="muted">none yet</span> },
        ]}
      />
    </Panel>
  );
}
