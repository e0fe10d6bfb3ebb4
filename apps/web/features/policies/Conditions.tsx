import type { Status } from '@sallyport/shared/resources';
import type { ConditionView } from '#lib/resourceView.ts';
import { conditionsOf } from '#lib/resourceView.ts';
import { Tag, type Tone } from '#ui/Tag.tsx';
import { Ago } from '../shell/Ago.tsx';
import styles from './Policies.module.css';

/** Whatever has a status: a policy of any kind. */
type Conditioned = Parameters<typeof conditionsOf>[0] & { readonly status?: Status | undefined };

const TONE: Readonly<Record<ConditionView['status'], Tone>> = { True: 'ok', False: 'bad', Unknown: 'idle' };

/** The three conditions as tags, for a table. */
export function ConditionTags({ policy }: { policy: Conditioned }) {
  return (
    <span className="row" style={{ gap: 4 }}>
      {conditionsOf(policy).map((condition) => (
        <span key={condition.type} title={`${condition.reason}: ${condition.message}`}>
          <Tag tone={TONE[condition.status]}>{condition.type}</Tag>
        </span>
      ))}
    </span>
  );
}

/** The three conditions with reason, message and age. */
export function ConditionList({ policy }: { policy: Conditioned }) {
  return (
    <ul className={styles.conditions}>
      {conditionsOf(policy).map((condition) => (
        <li key={condition.type} data-condition={condition.type} data-status={condition.status}>
          <span><Tag tone={TONE[condition.status]}>{condition.type}</Tag></span>
          <span className="wrap">
            {condition.reason}: {condition.message} {condition.since !== null && <span className="muted">(<Ago at={condition.since} />)</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** How many of the proxies that the policy concerns run it. */
export function Acknowledged({ policy }: { policy: Conditioned }) {
  const proxies = policy.status?.proxies;
  if (!proxies) return <span className="muted">not reported</span>;
  return (
    <span>
      {proxies.acked} / {proxies.target} proxies
      {proxies.nacked > 0 && <> <Tag tone="bad">{proxies.nacked} refused it</Tag></>}
      {proxies.pending && proxies.pending.length > 0 && <span className="muted"> waiting for {proxies.pending.join(', ')}</span>}
    </span>
  );
}
