'use client';
import { resourceList } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { LISTED, type Listed, listedOf, type ListedTab, saysOf, scopeOf } from './listedKinds.ts';
import { Acknowledged, ConditionTags } from './Conditions.tsx';
import { plural, sentence } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { conditionsOf, idOf } from '#lib/resourceView.ts';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

interface KindPanelsProps {
  readonly tab: ListedTab;
  readonly namespace: string;
  /** `Kind/namespace/name` of the object that is open; '' for none. */
  readonly open: string;
  readonly onOpen: (object: string) => void;
}

/** The kinds of a tab, each with its objects and their conditions. */
export function KindPanels({ tab, ...rest }: KindPanelsProps) {
  return LISTED[tab].map((entry) => <KindPanel key={entry.kind} entry={entry} tab={tab} {...rest} />);
}

function KindPanel({ entry: { kind, title, empty }, tab, namespace, open, onOpen }: KindPanelsProps & { entry: (typeof LISTED)[ListedTab][number] }) {
  // Federations belong to the whole mesh: no choice of a namespace hides them.
  const list = useView(apiPaths.resources(kind, tab === 'federation' ? undefined : namespace || undefined), resourceList);
  const address = (object: Listed) => `${kind}/${idOf(object)}`;
  return (
    <View query={list} subject={`the ${kind} objects`} lines={4}>
      {(data) => {
        const { objects, unreadable } = listedOf(kind, data.items);
        return (
          <>
            {unreadable > 0 && <Notice tone="warn" title={`${plural(unreadable, 'object is', 'objects are')} left out: this console cannot read them`} />}
            <Panel title={title} note={plural(objects.length, 'object')} flush>
              <Table
                caption={title}
                rows={objects}
                rowKey={address}
                selected={open}
                empty={empty}
                columns={[
                  { name: 'Name', rowHead: true, render: (object) => <Link href={pages.policies({ tab, object: address(object) })} prefetch={false} onClick={(event) => { event.preventDefault(); onOpen(address(object)); }}>{idOf(object)}</Link> },
                  { name: 'Says', render: (object) => <span className="wrap">{saysOf(object)}</span> },
                  { name: 'Bears on', render: (object) => <span className="mono">{scopeOf(object)}</span> },
                  { name: 'Conditions', render: (object) => <><ConditionTags policy={object} /><Unmet object={object} /></> },
                  ...(tab === 'federation' ? [] : [{ name: 'Acknowledged', render: (object: Listed) => <Acknowledged policy={object} /> }]),
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
function Unmet({ object }: { object: Listed }) {
  const unmet = conditionsOf(object).filter(({ status }) => status !== 'True');
  return unmet.map(({ type, message }) => <span key={type} className="muted" style={{ display: 'block' }}>{type}: {sentence(message)}</span>);
}
