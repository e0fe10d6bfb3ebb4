'use client';
import { unusedView, type UnusedView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { count, plural, shortIdentity } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { hasGaps } from '#lib/protection.ts';
import { useWindow } from '#lib/urlState.ts';
import { Notice } from '#ui/Notice.tsx';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

const REFRESH_MS = 30_000;

/** What a policy allows by identity and no recorded call of the window used. */
export function UnusedPage() {
  const [window] = useWindow();
  const unused = useView(apiPaths.unused(window), unusedView, { refreshMs: REFRESH_MS });
  return (
    <>
      <PageHead title="Unused permissions" lead="What a policy allows by identity and no recorded call used: candidates for taking away, once their owners agree." actions={<WindowPicker />} />
      <View query={unused} subject="the unused permissions" lines={8} minHeight={360}>
        {(data) => (
          <>
            <CoverageNotice coverage={data.coverage} />
            <Notice tone={hasGaps(data.coverage) ? 'warn' : 'idle'} title="Not used in the window is not the same as not needed"><p>{data.caveat}</p></Notice>
            <Identities data={data} />
            <Rules data={data} />
            <SourceLine coverage={data.coverage} window={data.window} />
            <p className="muted">Compared: {plural(data.flows.read, 'kind of recorded call', 'kinds of recorded call')}{data.flows.total > data.flows.read && ` of ${count(data.flows.total)}`} with {plural(data.analysed.policies, 'stored authorization policy', 'stored authorization policies')}.</p>
          </>
        )}
      </View>
    </>
  );
}

function listed(shown: number, total: number): string {
  return total > shown ? `${count(shown)} shown of ${count(total)}` : String(total);
}

function Identities({ data }: { data: UnusedView }) {
  return (
    <Panel title="Identities that may call and did not" note={listed(data.identities.length, data.totals.identities)} flush>
      <Table
        caption="Identities that may call and did not"
        rows={data.identities}
        rowKey={(row) => `${row.identity} ${row.workload} ${row.port}`}
        empty="Every identity that a rule lets in by name was seen using it in this window."
        columns={[
          { name: 'Identity', rowHead: true, render: (row) => <span className="mono wrap" title={row.identity}>{shortIdentity(row.identity)}</span> },
          { name: 'May call', render: (row) => <Link href={pages.reach({ to: row.workload })} prefetch={false}>{row.workload}</Link> },
          { name: 'Port', right: true, render: (row) => row.port },
          { name: 'By', render: (row) => <Link href={pages.policies({ policy: row.policy })} prefetch={false}>{row.policy}, rule {row.rule}</Link> },
        ]}
      />
    </Panel>
  );
}

function Rules({ data }: { data: UnusedView }) {
  return (
    <Panel title="Rules that let no recorded call in" note={listed(data.rules.length, data.totals.rules)} flush>
      <Table
        caption="Rules that let no recorded call in"
        rows={data.rules}
        rowKey={(row) => `${row.policy} ${row.rule}`}
        empty="Every ALLOW rule let in a call in this window."
        columns={[
          { name: 'Policy', rowHead: true, render: (row) => <Link href={pages.policies({ policy: row.policy })} prefetch={false}>{row.policy}</Link> },
          { name: 'Rule', right: true, render: (row) => row.rule },
        ]}
      />
    </Panel>
  );
}
