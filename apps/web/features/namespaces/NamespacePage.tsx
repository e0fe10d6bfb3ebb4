'use client';
import { namespaceDetail, type NamespaceDetail } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { ProtectionBar } from '../mesh/ProtectionBar.tsx';
import { ProtectionFigure } from '../mesh/ProtectionFigure.tsx';
import { Maturity } from './Maturity.tsx';
import { ModeTag } from './ModeTag.tsx';
import { isRunning } from './steps.ts';
import { Strict } from './Strict.tsx';
import { Workloads } from './Workloads.tsx';
import { count, plural } from '#lib/format.ts';
import { useView, REFRESH_MS } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { hasGaps, protectionOf } from '#lib/protection.ts';
import { useUrlState, useWindow } from '#lib/urlState.ts';
import { PageHead, Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Tabs } from '#ui/Tabs.tsx';

const TABS = [
  { id: 'summary', name: 'Summary' },
  { id: 'strict', name: 'Step to strict' },
  { id: 'maturity', name: 'Maturity' },
  { id: 'workloads', name: 'Workloads' },
] as const;

export function NamespacePage({ namespace }: { namespace: string }) {
  const url = useUrlState();
  const [window] = useWindow();
  const path = apiPaths.namespace(namespace, window);
  const detail = useView(path, namespaceDetail);
  // A running step is followed closely; its state comes with the rest, so one question keeps all of the page in step.
  useView(isRunning(detail.data?.plan.step ?? null) ? path : null, namespaceDetail, { refreshMs: REFRESH_MS / 4 });
  const tab = TABS.find((each) => each.id === url.get('tab'))?.id ?? 'summary';
  return (
    <>
      <PageHead
        title={<><Link href={pages.namespaces()} prefetch={false}>Namespaces</Link> / {namespace}</>}
        lead={detail.data && <span className="row"><ModeTag mode={detail.data.mode} />{sourceOf(detail.data)}</span>}
        actions={<WindowPicker />}
      />
      <Tabs label={`Namespace ${namespace}`} tabs={TABS} selected={tab} onSelect={(id) => url.set({ tab: id === 'summary' ? '' : id })}>
        <View query={detail} subject={`the namespace ${namespace}`} lines={10} minHeight={380}>
          {(data) => (
            <>
              {tab === 'summary' && <Summary data={data} />}
              {tab === 'strict' && <Strict plan={data.plan} />}
              {tab === 'maturity' && <Maturity maturity={data.maturity} />}
              {tab === 'workloads' && <Workloads detail={data} />}
            </>
          )}
        </View>
      </Tabs>
    </>
  );
}

function Summary({ data }: { data: NamespaceDetail }) {
  const { coverage, window } = data;
  const unmet = data.maturity.criteria.filter((criterion) => criterion.outcome !== 'met' && criterion.stage === data.maturity.next);
  return (
    <>
      <CoverageNotice coverage={coverage} />
      <div className="columns">
        <Panel title="Protection of calls that arrived" note={<ProtectionFigure protection={protectionOf(data.mtls, hasGaps(coverage))} />}>
          <div className="stack">
            <ProtectionBar calls={data.mtls} stale={hasGaps(coverage)} />
            <Stats>
              <Stat name="Mutual TLS" value={count(data.mtls.mutual)} />
              <Stat name="Plaintext" value={count(data.mtls.plaintext)} />
              <Stat name="Unknown" value={count(data.mtls.unknown)} />
              <Stat name="Denied" value={<Link href={pages.signals({ tab: 'denies', namespace: data.name })} prefetch={false}>{count(data.denied)}</Link>} />
            </Stats>
          </div>
        </Panel>
        <Panel title="Inventory">
          <Stats>
            <Stat name="Services" value={<Link href={pages.graph({ namespace: data.name })} prefetch={false}>{data.services}</Link>} />
            <Stat name="Workloads" value={data.workloads.total} note={`${data.workloads.meshed} in the mesh, ${data.workloads.live} reporting`} />
            <Stat name="Policies" value={<Link href={pages.policies({ namespace: data.name })} prefetch={false}>{data.policies}</Link>} />
          </Stats>
        </Panel>
        <Panel title="What next">
          <div className="stack">
            <p>
              {data.plan.ready && data.mode !== 'STRICT' ? 'The window is clean: this namespace can step to strict. ' : ''}
              {data.plan.blockers.length > 0 ? `${plural(data.plan.blockers.length, 'thing stands', 'things stand')} in the way of strict. ` : ''}
              <Link href={pages.namespace(data.name, { tab: 'strict' })} prefetch={false}>Look at the step to strict</Link>
            </p>
            <p>
              Maturity: {data.maturity.stage ?? 'not yet Pilot'}{data.maturity.next && `, ${unmet.length} criteria to ${data.maturity.next}`}.{' '}
              <Link href={pages.namespace(data.name, { tab: 'maturity' })} prefetch={false}>Look at the criteria</Link>
            </p>
          </div>
        </Panel>
      </div>
      <SourceLine coverage={coverage} window={window} />
    </>
  );
}

/** Where the mode comes from, in words. */
function sourceOf({ mode, modeSource }: NamespaceDetail): string {
  if (modeSource !== null) return `set by ${modeSource}`;
  return mode === 'MIXED' ? 'its workloads or ports differ; see Workloads' : 'the default';
}
