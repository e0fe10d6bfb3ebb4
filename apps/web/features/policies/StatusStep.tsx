'use client';
import { deniesView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { explainDeny } from './call.ts';
import { Acknowledged, ConditionList } from './Conditions.tsx';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { isProgrammed, policySchema, type Policy } from '#lib/resourceView.ts';
import { buttonClass } from '#ui/Button.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Facts, Panel } from '#ui/Panel.tsx';

/** How often the status is asked while the reader waits for the proxies. */
const FOLLOW_MS = 1_500;

/**
 * Last: the policy on its way to the proxies.
 *
 * @param props.id `namespace/name`; '' when no policy was among what was applied
 * @param props.to `namespace/service` that the policy was made for
 */
export function StatusStep({ id, to }: { id: string; to: string }) {
  const [namespace = '', name = ''] = id.split('/');
  const policy = useView(id === '' ? null : apiPaths.resource('AuthorizationPolicy', namespace, name), policySchema, { refreshMs: FOLLOW_MS });
  if (id === '') return <Notice tone="ok" title="Applied"><p>There was no authorization policy in it, so there is nothing to follow here.</p></Notice>;
  return (
    <View query={policy} subject={`the status of ${id}`} lines={6}>
      {(data) => (
        <>
          <div aria-live="polite"><Verdict policy={data} id={id} /></div>
          <Panel title={`Status of ${id}`}>
            <div className="stack">
              <ConditionList policy={data} />
              <Facts items={[['Acknowledged', <Acknowledged key="a" policy={data} />], ['Generation', String(data.metadata.generation ?? 'unknown')]]} />
            </div>
          </Panel>
          <div className="row">
            <Link href={pages.signals({ tab: 'denies', namespace })} prefetch={false} className={buttonClass('primary')}>See the calls it denies</Link>
            <Why id={id} namespace={namespace} to={to} />
            <Link href={pages.policies({ policy: id })} prefetch={false} className={buttonClass()}>Open the policy</Link>
            <Link href={pages.graph({ namespace })} prefetch={false} className={buttonClass()}>Back to the graph</Link>
          </div>
        </>
      )}
    </View>
  );
}

/** To the explanation of the newest call that the policy refused; before there is one, of a call still to be described. */
function Why({ id, namespace, to }: { id: string; namespace: string; to: string }) {
  const denies = useView(apiPaths.denies('15m', namespace), deniesView);
  const newest = denies.data?.items.find((deny) => deny.policy === id);
  return <Link href={newest ? explainDeny(newest) : pages.explain({ to })} prefetch={false} className={buttonClass()}>{newest ? 'Why was the newest call denied?' : 'Explain a call'}</Link>;
}

function Verdict({ policy, id }: { policy: Policy; id: string }) {
  if (isProgrammed(policy)) return <Notice tone="ok" title={`${id} runs on every proxy that it concerns`} />;
  return <Notice tone="idle" title={`${id} is written, but does not run everywhere yet`}><p>This page follows it. A proxy that does not answer keeps running what it had.</p></Notice>;
}
