'use client';
import { useState } from 'react';
import { FailureText, View } from '../shell/View.tsx';
import { Acknowledged, ConditionList } from './Conditions.tsx';
import { PolicyFindings } from './Findings.tsx';
import styles from './Policies.module.css';
import { ShadowMatches } from './ShadowMatches.tsx';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { policySchema, toYaml, type Policy } from '#lib/resourceView.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useWrite } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { Code } from '#ui/Code.tsx';
import { Dialog } from '#ui/Dialog.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Facts, Panel } from '#ui/Panel.tsx';

/** One policy as it is stored, with its conditions live and the way to delete it. `id` is `namespace/name`. */
export function PolicyDetail({ id, onClose }: { id: string; onClose: () => void }) {
  const [namespace = '', name = ''] = id.split('/');
  const policy = useView(apiPaths.resource('AuthorizationPolicy', namespace, name), policySchema);
  return (
    <View query={policy} subject={`the policy ${id}`} lines={8}>
      {(data) => (
        <Panel title={id} actions={<span className="row"><Delete policy={data} id={id} onDeleted={onClose} /><Button kind="quiet" onPress={onClose}>Close</Button></span>}>
          <div className={styles.review}>
            <div className="stack">
              <ConditionList policy={data} />
              <Facts
                items={[
                  ['Acknowledged', <Acknowledged key="a" policy={data} />],
                  ['Generation', String(data.metadata.generation ?? 'unknown')],
                  ['Written by', data.metadata.managedFields?.map((field) => field.manager).join(', ') || 'unknown'],
                ]}
              />
              {(data.spec.enforcement === 'DryRun' || data.spec.action === 'AUDIT') && (
                <>
                  <h3>What it matches, deciding nothing</h3>
                  <ShadowMatches id={id} action={data.spec.action} />
                </>
              )}
              <h3>Findings</h3>
              <PolicyFindings policy={id} />
            </div>
            <Code label={`YAML of ${id}`} text={toYaml(data)} />
          </div>
        </Panel>
      )}
    </View>
  );
}

function Delete({ policy, id, onDeleted }: { policy: Policy; id: string; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const write = useWrite();
  const role = useWhyNot('editor');
  const confirm = () =>
    write.mutate(
      { path: apiPaths.resource('AuthorizationPolicy', policy.metadata.namespace ?? '', policy.metadata.name), method: 'DELETE' },
      { onSuccess: onDeleted, onSettled: () => setAsking(false) },
    );
  return (
    <>
      {write.error && <Notice tone="bad" urgency="alert" title="Not deleted"><FailureText error={write.error} /></Notice>}
      <Button kind="danger" whyNot={role} onPress={() => setAsking(true)}>Delete…</Button>
      {asking && (
        <Dialog title={`Delete ${id}?`} confirm="Delete the policy" danger busy={write.isPending} onConfirm={confirm} onClose={() => setAsking(false)}>
          <p>
            {policy.spec.action === 'ALLOW'
              ? 'If no other ALLOW policy selects its workloads, every caller is let in once it is gone.'
              : 'What it refuses now is let in once it is gone, unless another policy refuses it.'}
          </p>
          <p className="muted">The deletion is audited, and it may raise a weakening signal.</p>
        </Dialog>
      )}
    </>
  );
}
