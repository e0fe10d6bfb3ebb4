'use client';
import { resourceList } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { Acknowledged, ConditionTags } from './Conditions.tsx';
import { FindingsPanel, FindingTags, useLint } from './Findings.tsx';
import { KindPanels } from './KindPanels.tsx';
import { PolicyDetail } from './PolicyDetail.tsx';
import { lintSummary } from './lint.ts';
import { ResourceDetail } from './ResourceDetail.tsx';
import { NamespaceSelect } from '../namespaces/NamespaceSelect.tsx';
import { plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { idOf, policySchema, type Policy } from '#lib/resourceView.ts';
import { useUrlState } from '#lib/urlState.ts';
import { buttonClass } from '#ui/Button.tsx';
import { Notice } from '#ui/Notice.tsx';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tabs } from '#ui/Tabs.tsx';
import { Tag } from '#ui/Tag.tsx';

const TABS = ['authorization', 'authentication', 'traffic', 'federation', 'findings'] as const;

export function PoliciesPage() {
  const url = useUrlState();
  const namespace = url.get('namespace');
  const open = url.get('policy');
  const object = url.get('object');
  const tab = TABS.find((each) => each === url.get('tab')) ?? 'authorization';
  const lint = useLint().data;
  const tabs = [
    { id: 'authorization', name: 'Authorization' },
    { id: 'authentication', name: 'Authentication' },
    { id: 'traffic', name: 'Traffic' },
    { id: 'federation', name: 'Federation' },
    { id: 'findings', name: lint ? `Findings: ${lintSummary(lint)}` : 'Findings' },
  ];
  return (
    <>
      <PageHead
        title="Policies"
        lead="Who may call what, whether each policy has reached every proxy that it concerns, and whether it does what it says."
        actions={
          <>
            <Link href={pages.unused()} prefetch={false} className={buttonClass()}>Unused permissions</Link>
            <Link href={pages.newPolicy()} prefetch={false} className={buttonClass('primary')}>New policy from real calls</Link>
          </>
        }
      />
      <div className="row"><NamespaceSelect value={namespace} onChange={(value) => url.set({ namespace: value })} /></div>
      {open !== '' && <PolicyDetail key={open} id={open} onClose={() => url.set({ policy: '' })} />}
      {object !== '' && <ResourceDetail key={object} of={object} onClose={() => url.set({ object: '' })} />}
      <Tabs label="Policies" tabs={tabs} selected={tab} onSelect={(id) => url.set({ tab: id === 'authorization' ? '' : id })}>
        {tab === 'authorization' && <Authorization namespace={namespace} open={open} onOpen={(id) => url.set({ policy: id }, 'push')} />}
        {tab !== 'authorization' && tab !== 'findings' && <KindPanels tab={tab} namespace={namespace} open={object} onOpen={(of) => url.set({ object: of }, 'push')} />}
        {tab === 'findings' && <FindingsPanel namespace={namespace} />}
      </Tabs>
    </>
  );
}

function Authorization({ namespace, open, onOpen }: { namespace: string; open: string; onOpen: (id: string) => void }) {
  const policies = useView(apiPaths.resources('AuthorizationPolicy', namespace || undefined), resourceList);
  return (
    <View query={policies} subject="the policies" lines={8}>
      {(data) => <PolicyTable items={data.items} open={open} onOpen={onOpen} />}
    </View>
  );
}

function PolicyTable({ items, open, onOpen }: { items: readonly unknown[]; open: string; onOpen: (id: string) => void }) {
  const lint = useLint();
  const read = items.map((item) => policySchema.safeParse(item));
  const policies = read.flatMap((result) => (result.success ? [result.data] : []));
  const unreadable = read.length - policies.length;
  return (
    <>
      {unreadable > 0 && (
        <Notice tone="warn" title={`${plural(unreadable, 'policy is', 'policies are')} left out: this console cannot read them`}>
          <p>They were written for another version. Look at them with <code>sallyport get authorizationpolicy -o yaml</code>.</p>
        </Notice>
      )}
      <Panel title="Authorization policies" note={plural(policies.length, 'policy', 'policies')} flush>
        <Table
          caption="Authorization policies"
          rows={policies}
          rowKey={idOf}
          selected={open}
          empty="There is no policy here: every call that reaches a workload is let in, whoever makes it."
          columns={[
            { name: 'Policy', rowHead: true, render: (policy) => <Link href={pages.policies({ policy: idOf(policy) })} prefetch={false} onClick={(event) => { event.preventDefault(); onOpen(idOf(policy)); }}>{idOf(policy)}</Link> },
            { name: 'Action', render: (policy) => <span className="row"><Tag tone={policy.spec.action === 'DENY' ? 'bad' : 'info'} mark="">{policy.spec.action}</Tag>{policy.spec.enforcement === 'DryRun' && <Tag tone="idle">dry run</Tag>}</span> },
            { name: 'Selects', render: (policy) => <span className="mono">{selectorText(policy)}</span> },
            { name: 'Rules', right: true, render: (policy) => policy.spec.rules?.length ?? 0 },
            { name: 'Findings', render: (policy) => <FindingTags lint={lint} policy={idOf(policy)} /> },
            { name: 'Conditions', render: (policy) => <ConditionTags policy={policy} /> },
            { name: 'Acknowledged', render: (policy) => <Acknowledged policy={policy} /> },
          ]}
        />
      </Panel>
    </>
  );
}

function selectorText(policy: Policy): string {
  const labels = Object.entries(policy.spec.selector?.matchLabels ?? {});
  return labels.length === 0 ? 'whole namespace' : labels.map(([key, value]) => `${key}=${value}`).join(', ');
}
