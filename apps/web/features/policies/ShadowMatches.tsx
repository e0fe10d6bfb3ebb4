'use client';
import { shadowsView } from '@sallyport/shared/api';
import { View } from '../shell/View.tsx';
import { SourceLine } from '../mesh/CoverageNote.tsx';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWindow } from '#lib/urlState.ts';
import { Table } from '#ui/Table.tsx';

const MEANING = { ALLOW: 'would be let in by it', DENY: 'would be denied by it', AUDIT: 'are audited by it', CUSTOM: 'would be for its authorizer to decide' } as const;

/** What a policy that decides nothing matched in the page's window. `id` is `namespace/name`. */
export function ShadowMatches({ id, action }: { id: string; action: keyof typeof MEANING }) {
  const [window] = useWindow();
  const shadows = useView(apiPaths.shadows(window), shadowsView);
  return (
    <View query={shadows} subject="what the policy matched" lines={3}>
      {(data) => (
        <>
          <Table
            caption={`Calls that ${MEANING[action]}`}
            rows={data.items.filter((each) => each.policy === id)}
            rowKey={(row) => `${row.rule} ${row.namespace}/${row.workload}:${row.port}`}
            empty={`No reported call of this window matched it. ${action === 'ALLOW' ? 'Enforced as the only ALLOW policy it would let nobody in.' : 'Enforced, it would have changed nothing that was reported.'}`}
            columns={[
              { name: 'Workload', rowHead: true, render: (row) => `${row.namespace}/${row.workload}:${row.port}` },
              { name: 'Rule', right: true, render: (row) => row.rule },
              { name: 'Calls', right: true, render: (row) => row.count },
            ]}
          />
          <SourceLine coverage={data.coverage} window={data.window} />
        </>
      )}
    </View>
  );
}
