'use client';
import { View } from '../shell/View.tsx';
import { Acknowledged, ConditionList } from './Conditions.tsx';
import { isListedKind, type ListedKind } from './listedKinds.ts';
import styles from './Policies.module.css';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { resourceSchema, toYaml } from '#lib/resourceView.ts';
import { Button } from '#ui/Button.tsx';
import { Code } from '#ui/Code.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Facts, Panel } from '#ui/Panel.tsx';

interface ResourceDetailProps {
  /** `Kind/namespace/name`, or `Kind/name`. */
  readonly of: string;
  readonly onClose: () => void;
}

/** One object as it is stored, with its conditions live. */
export function ResourceDetail({ of, onClose }: ResourceDetailProps) {
  const [kind = '', ...id] = of.split('/');
  if (isListedKind(kind)) return <Stored kind={kind} id={id.join('/')} onClose={onClose} />;
  return <Notice tone="warn" title={`This page shows no objects of the kind “${kind.slice(0, 40)}”`} />;
}

function Stored({ kind, id, onClose }: { kind: ListedKind; id: string; onClose: () => void }) {
  const [name = '', namespace = ''] = id.split('/').reverse();
  const object = useView(apiPaths.resource(kind, namespace, name), resourceSchema(kind));
  return (
    <View query={object} subject={`${kind} ${id}`} lines={8}>
      {(data) => (
        <Panel title={`${kind} ${id}`} actions={<Button kind="quiet" onPress={onClose}>Close</Button>}>
          <div className={styles.review}>
            <div className="stack">
              <ConditionList policy={data} />
              <Facts
                items={[
                  ...(kind === 'FederatedTrustDomain' ? [] : ([['Acknowledged', <Acknowledged key="a" policy={data} />]] as const)),
                  ['Generation', String(data.metadata.generation ?? 'unknown')],
                  ['Written by', data.metadata.managedFields?.map((field) => field.manager).join(', ') || 'unknown'],
                ]}
              />
            </div>
            <Code label={`YAML of ${kind} ${id}`} text={toYaml(data)} />
          </div>
        </Panel>
      )}
    </View>
  );
}
