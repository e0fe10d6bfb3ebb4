'use client';
import { resourceList } from '@sallyport/shared/api';
import { View } from '../shell/View.tsx';
import { type AuthenticationPolicy, authenticationsOf, saysOf, scopeOf } from './authentications.ts';
import { Acknowledged, ConditionTags } from './Conditions.tsx';
import { plural, sentence } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { conditionsOf } from '#lib/resourceView.ts';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

/** PeerAuthentication and RequestAuthentication: who somebody is, with the conditions of each. */
export function Authentications({ namespace }: { namespace: string }) {
  return (
    <>
      <Kind kind="PeerAuthentication" title="Peer authentication: mTLS modes" namespace={namespace} empty="There is none here: every port takes mTLS and plaintext (PERMISSIVE)." />
      <Kind kind="RequestAuthentication" title="Request authentication: end users’ tokens" namespace={namespace} empty="There is none here: no proxy verifies end users’ tokens." />
    </>
  );
}

interface KindProps {
  readonly kind: AuthenticationPolicy['kind'];
  readonly title: string;
  readonly namespace: string;
  readonly empty: string;
}

function Kind({ kind, title, namespace, empty }: KindProps) {
  const list = useView(apiPaths.resources(kind, namespace || undefined), resourceList);
  return (
    <View query={list} subject={`the ${kind} objects`} lines={4}>
      {(data) => {
        const { policies, unreadable } = authenticationsOf(data.items);
        return (
          <>
            {unreadable > 0 && <Notice tone="warn" title={`${plural(unreadable, 'object is', 'objects are')} left out: this console cannot read them`} />}
            <Panel title={title} note={plural(policies.length, 'policy', 'policies')} flush>
              <Table
                caption={title}
                rows={policies}
                rowKey={({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`}
                empty={empty}
                columns={[
                  { name: 'Policy', rowHead: true, render: ({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}` },
                  { name: 'Says', render: (policy) => <span className="wrap">{saysOf(policy)}</span> },
                  { name: 'Selects', render: (policy) => <span className="mono">{scopeOf(policy)}</span> },
                  { name: 'Conditions', render: (policy) => <><ConditionTags policy={policy} /><Unmet policy={policy} /></> },
                  { name: 'Acknowledged', render: (policy) => <Acknowledged policy={policy} /> },
                ]}
              />
            </Panel>
          </>
        );
      }}
    </View>
  );
}

/** Why a condition does not hold, in text: a tag alone tells it only to whoever points at it. */
function Unmet({ policy }: { policy: AuthenticationPolicy }) {
  const unmet = conditionsOf(policy).filter(({ status }) => status !== 'True');
  return unmet.map(({ type, message }) => <span key={type} className="muted" style={{ display: 'block' }}>{type}: {sentence(message)}</span>);
}
