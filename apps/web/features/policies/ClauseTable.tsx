import type { ExplainView } from '@sallyport/shared/api';
import Link from 'next/link';
import { type ClauseState, explainRows } from './explanation.ts';
import { plural } from '#lib/format.ts';
import { pages } from '#lib/paths.ts';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

const SHOWN: Readonly<Record<ClauseState, { tone: Tone; mark: string }>> = {
  matched: { tone: 'info', mark: '✓' },
  'not matched': { tone: 'idle', mark: '✕' },
  'not reached': { tone: 'idle', mark: '–' },
  'not counted': { tone: 'idle', mark: '–' },
  'does not apply': { tone: 'idle', mark: '–' },
};

/** Every policy that was looked at, down to the clause; the ones that the verdict hangs on are marked in words. */
export function ClauseTable({ view }: { view: ExplainView }) {
  const rulesOmitted = view.policies.reduce((sum, policy) => sum + policy.rulesOmitted, 0);
  return (
    <>
      <Table
        caption="Policies, rules and clauses"
        rows={explainRows(view)}
        rowKey={(row) => row.key}
        empty="No policy is stored for this workload, neither in its namespace nor in the root namespace: nothing restricts who may call."
        columns={[
          { name: 'Policy', rowHead: true, render: (row) => <Link href={pages.policies({ policy: row.policy })} prefetch={false}>{row.policy}</Link> },
          { name: 'Action', render: (row) => <span className="row" style={{ gap: 4 }}>{row.action}{row.dryRun && <Tag tone="idle" mark="">dry run</Tag>}</span> },
          { name: 'Rule', right: true, render: (row) => row.rule ?? '–' },
          { name: 'Clause', render: (row) => <span className={row.rule === null ? 'wrap' : 'mono wrap'}>{row.field}</span> },
          { name: 'Asks for', render: (row) => <span className="mono wrap">{row.wants || '–'}</span> },
          { name: 'The call has', render: (row) => <span className="mono wrap">{row.has || '–'}</span> },
          {
            name: 'Result',
            render: (row) => (
              <span className="row" style={{ gap: 4 }}>
                <Tag {...SHOWN[row.state]}>{row.state}</Tag>
                {row.decides && <Tag tone={view.verdict.effect === 'DENY' ? 'bad' : 'ok'} mark="→"><strong>this decides</strong></Tag>}
              </span>
            ),
          },
        ]}
      />
      {view.omitted + rulesOmitted > 0 && (
        <p className="muted" style={{ padding: '8px 14px' }}>
          Left out: {plural(view.omitted, 'policy that does', 'policies that do')} not bear on the workload, and {plural(rulesOmitted, 'rule', 'rules')} that did not match. All are in <code>sallyport policy explain</code>.
        </p>
      )}
    </>
  );
}
