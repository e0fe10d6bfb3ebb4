'use client';
import type { Caller } from '@sallyport/shared/api';
import Link from 'next/link';
import { Ago } from '../shell/Ago.tsx';
import { Enroll } from '../namespaces/Blockers.tsx';
import { callKey, type CallerGroup } from './draft.ts';
import styles from './Policies.module.css';
import { count, shortIdentity } from '#lib/format.ts';
import { pages } from '#lib/paths.ts';
import { Check } from '#ui/Field.tsx';
import { Tag } from '#ui/Tag.tsx';

interface IdentityProps {
  readonly group: CallerGroup;
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (keys: readonly string[], on: boolean) => void;
}

/** One identity with its calls, each of which can be allowed by itself. */
export function IdentityGroup({ group, chosen, onChoose }: IdentityProps) {
  const keys = group.rows.map(callKey);
  const all = keys.every((key) => chosen.has(key));
  const name = shortIdentity(group.principal ?? '');
  return (
    <fieldset className={styles.group}>
      <legend className="visually-hidden">Calls of {name}</legend>
      <div className={styles.groupHead}>
        <Check checked={all} onChange={(on) => onChoose(keys, on)}>
          <strong>{name}</strong> <span className="mono muted">{group.principal}</span>
        </Check>
        <span className="row">
          <Tag tone="ok">mutual TLS</Tag>
          {!group.declared && <Tag tone="warn">not declared</Tag>}
          <span>{count(group.requests)} calls</span>
        </span>
      </div>
      <div className={styles.groupBody}>
        <div className={styles.calls}>
          {group.rows.map((row) => (
            <div key={callKey(row)} className={styles.call}>
              <Check checked={chosen.has(callKey(row))} onChange={(on) => onChoose([callKey(row)], on)}>
                <code>{callText(row)}</code> {!row.declared && group.declared && <Tag tone="warn">not declared</Tag>}
              </Check>
              <Figures row={row} />
            </div>
          ))}
        </div>
      </div>
    </fieldset>
  );
}

interface AddressProps {
  readonly group: CallerGroup;
  readonly admitted: boolean;
  readonly onAdmit: (on: boolean) => void;
}

/** One caller without identity: what it did, how to give it one, and the conscious choice to admit its address. */
export function AddressGroup({ group, admitted, onAdmit }: AddressProps) {
  const [namespace, workload] = group.workload?.split('/') ?? [];
  return (
    <fieldset className={styles.group} data-plaintext="true">
      <legend className="visually-hidden">Calls of {group.ips.join(', ')}, without identity</legend>
      <div className={styles.groupHead}>
        <span>
          <strong className="mono">{group.ips.join(', ')}</strong> {group.workload === null ? 'no known workload has this address' : `address of ${group.workload}`}
        </span>
        <span className="row"><Tag tone="bad">{group.mtls === 'plaintext' ? 'plaintext, no identity' : 'no identity known'}</Tag><span>{count(group.requests)} calls</span></span>
      </div>
      <div className={styles.groupBody}>
        <div className={styles.calls}>
          {group.rows.map((row) => <div key={callKey(row)} className={styles.call}><code>{callText(row)}</code><Figures row={row} /></div>)}
        </div>
        {group.workload !== null && (
          <div className="row">
            <Enroll workload={group.workload} />
            {namespace && workload && <Link href={pages.namespace(namespace, { tab: 'workloads' })} prefetch={false}>Look at its namespace</Link>}
          </div>
        )}
        <Check checked={admitted} onChange={onAdmit}>
          Admit the address {group.ips.join(', ')} by a rule on <code>ipBlocks</code>, without identity. I know that whoever has or forges this address is let in,
          and that a strict mode will refuse it all the same.
        </Check>
        {!admitted && <p><strong>It will be cut off by this policy.</strong></p>}
      </div>
    </fieldset>
  );
}

function callText(row: Caller): string {
  return row.protocol === 'tcp' ? `tcp, port ${row.port}` : `${row.method ?? '?'} ${row.path ?? '?'}, port ${row.port}`;
}

function Figures({ row }: { row: Caller }) {
  return (
    <span className="muted">
      {count(row.requests)} calls{row.denied > 0 && <>, ✕ {count(row.denied)} denied</>}, <Ago at={row.lastSeen} />
    </span>
  );
}
