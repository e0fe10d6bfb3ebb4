'use client';
import { STAGES as NAMES, type Criterion, type MaturityView } from '@sallyport/shared/api';
import Link from 'next/link';
import { ownPath } from '#lib/paths.ts';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

const TONE: Readonly<Record<Criterion['outcome'], Tone>> = { met: 'ok', unmet: 'bad', indeterminate: 'idle' };

/** The stage that a namespace has reached and each criterion, with what cannot be told kept apart from what fails. */
export function Maturity({ maturity }: { maturity: MaturityView }) {
  return (
    <>
      <p>
        Stage reached: <strong>{maturity.stage ?? 'not yet Pilot'}</strong>. A stage is reached when its criteria and all below are met; what cannot be told is
        never counted as met.
      </p>
      {NAMES.map((stage) => {
        const criteria = maturity.criteria.filter((criterion) => criterion.stage === stage);
        const met = criteria.filter((criterion) => criterion.outcome === 'met').length;
        return (
          <Panel key={stage} title={stage} note={`${met} of ${criteria.length} met${stage === maturity.next ? ' · next' : ''}`} flush>
            <Table
              caption={`Criteria of ${stage}`}
              rows={criteria}
              rowKey={(criterion) => criterion.id}
              empty="This stage has no criteria."
              columns={[
                { name: 'Outcome', render: (criterion) => <Tag tone={TONE[criterion.outcome]}>{criterion.outcome}</Tag> },
                { name: 'Criterion', rowHead: true, render: (criterion) => criterion.title },
                { name: 'Found', render: (criterion) => <Finding criterion={criterion} /> },
                { name: 'What to do', render: (criterion) => criterion.remedy || '–' },
              ]}
            />
          </Panel>
        );
      })}
    </>
  );
}

function Finding({ criterion }: { criterion: Criterion }) {
  const shown = criterion.failing.slice(0, 8);
  return (
    <span className="wrap">
      {criterion.link === '' ? criterion.finding : <Link href={ownPath(criterion.link)} prefetch={false} aria-label={`${criterion.finding}: ${criterion.title}`}>{criterion.finding}</Link>}
      {shown.length > 0 && <span className="mono muted" style={{ display: 'block' }}>{shown.join(', ')}{criterion.failing.length > shown.length && ` and ${criterion.failing.length - shown.length} more`}</span>}
    </span>
  );
}
