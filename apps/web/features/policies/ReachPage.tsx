'use client';
import { Blast } from './Blast.tsx';
import { ReachedBy } from './ReachedBy.tsx';
import { useUrlState } from '#lib/urlState.ts';
import { PageHead } from '#ui/Panel.tsx';
import { Tabs } from '#ui/Tabs.tsx';

const TABS = [
  { id: 'to', name: 'Who can reach a workload' },
  { id: 'from', name: 'If this is compromised' },
] as const;

/** Who gets in where under the policies as stored, whether or not anybody ever called. */
export function ReachPage() {
  const url = useUrlState();
  const tab = url.get('tab') === 'from' || (url.get('from') !== '' && url.get('to') === '') ? 'from' : 'to';
  return (
    <>
      <PageHead title="Reach" lead="Who can get in where under the policies as they are stored now, whether or not anybody ever called." />
      <Tabs label="Reach" tabs={TABS} selected={tab} onSelect={(id) => url.set({ tab: id === 'to' ? '' : id, ...(id === 'to' ? { from: '' } : { to: '' }) })}>
        {tab === 'to' ? <ReachedBy to={url.get('to')} onChoose={(to) => url.set({ to, from: '', tab: '' }, 'push')} /> : <Blast from={url.get('from')} onChoose={(from) => url.set({ from, to: '', tab: 'from' }, 'push')} />}
      </Tabs>
    </>
  );
}
