'use client';
import { caView, certificatesView } from '@sallyport/shared/api';
import { Authority } from './Authority.tsx';
import { Rotation, Svids } from './Svids.tsx';
import { View } from '../shell/View.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useUrlState } from '#lib/urlState.ts';
import { PageHead } from '#ui/Panel.tsx';
import { Tabs } from '#ui/Tabs.tsx';

const TABS = [{ id: 'svids', name: 'SVIDs' }, { id: 'authority', name: 'Certificate authority' }];

export function IdentitiesPage() {
  const url = useUrlState();
  const tab = url.get('tab') === 'authority' ? 'authority' : 'svids';
  const certificates = useView(apiPaths.certificates(), certificatesView);
  const ca = useView(apiPaths.ca(), caView);
  return (
    <>
      <PageHead title="Identities" lead="The newest SVID of each workload: who it says it is, who signed that, how much of its life has passed and when it rotates. And the authority behind them." />
      <Tabs label="Identities" tabs={TABS} selected={tab} onSelect={(id) => url.set({ tab: id === 'svids' ? '' : id })}>
        {tab === 'svids' ? (
          <View query={certificates} subject="the certificates" lines={10} minHeight={420}>
            {(data) => (
              <>
                <CoverageNotice coverage={data.coverage} />
                <Rotation data={data} />
                <Svids data={data} ca={ca.data ?? null} />
                <SourceLine coverage={data.coverage} />
              </>
            )}
          </View>
        ) : (
          <View query={ca} subject="the certificate authority" lines={10} minHeight={420}>
            {(data) => <Authority ca={data} svids={certificates.data?.items ?? null} askedAt={ca.dataUpdatedAt} />}
          </View>
        )}
      </Tabs>
    </>
  );
}
