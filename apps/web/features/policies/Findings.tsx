'use client';
import { lintView, type FindingView, type LintView } from '@sallyport/shared/api';
import type { UseQueryResult } from '@tanstack/react-query';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { lintSummary, SEVERITY_TONE, severityCount, severityName, tally, unlisted } from './lint.ts';
import styles from './Policies.module.css';
import { plural, sentence } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

/** Findings hang on what is stored alone, and a change of that asks anew by itself. */
const REFRESH_MS = 60_000;

export function useLint(): UseQueryResult<LintView> {
  return useView(apiPaths.lint(), lintView, { refreshMs: REFRESH_MS });
}

/** A policy's findings by severity, for a table. */
export function FindingTags({ lint, policy }: { lint: UseQueryResult<LintView>; policy: string }) {
  if (!lint.data) return <span className="muted">{lint.error ? 'not computed' : '…'}</span>;
  const found = tally(lint.data.findings, policy);
  if (found.length === 0) return <span className="muted">none</span>;
  return (
    <Link href={pages.policies({ policy })} prefetch={false}>
      <span className="visually-hidden">Findings of {policy}: </span>
      <span className="row" style={{ gap: 4 }}>{found.map(({ severity, count }) => <Tag key={severity} tone={SEVERITY_TONE[severity]}>{severityCount(severity, count)}</Tag>)}</span>
    </Link>
  );
}

/** The findings of one policy, each with its place and its remedy. */
export function PolicyFindings({ policy }: { policy: string }) {
  const lint = useLint();
  return (
    <View query={lint} subject={`the findings of ${policy}`} lines={2}>
      {(data) => {
        const own = data.findings.filter((each) => each.policy === policy);
        if (own.length === 0) return <p className="muted">{unlisted(data) > 0 ? 'Not among the findings that are listed; see sallyport policy lint for all.' : 'The checks found nothing that its author probably did not mean.'}</p>;
        return (
          <ul className={styles.findings} aria-label={`Findings of ${policy}`}>
            {own.map((finding) => (
              <li key={`${finding.code} ${finding.field} ${finding.message}`}>
                <span className="row" style={{ gap: 6 }}><Tag tone={SEVERITY_TONE[finding.severity]}>{finding.code}</Tag><code>{finding.field}</code></span>
                <span>{sentence(finding.message)}</span>
                <span className="muted">Remedy: {sentence(finding.remedy)}</span>
              </li>
            ))}
          </ul>
        );
      }}
    </View>
  );
}

/** Every finding over the stored policies, errors first. */
export function FindingsPanel({ namespace }: { namespace: string }) {
  const lint = useLint();
  return (
    <View query={lint} subject="the findings" lines={8}>
      {(data) => {
        const rows = data.findings.filter((each) => namespace === '' || each.policy.startsWith(`${namespace}/`));
        return (
          <>
            {unlisted(data) > 0 && <Notice tone="warn" title={`${plural(unlisted(data), 'further finding is', 'further findings are')} not listed`}><p>All are in <code>sallyport policy lint</code>.</p></Notice>}
            <Panel title="Findings" note={namespace === '' ? lintSummary(data) : `${rows.length} of ${lintSummary(data)}`} flush>
              <FindingTable rows={rows} />
            </Panel>
            <p className="muted">
              Source: {plural(data.analysed.policies, 'stored authorization policy', 'stored authorization policies')} over {plural(data.analysed.workloads, 'registered workload')}. Each
              finding is something that the author probably did not mean; an error is a policy that does not do what it says.
            </p>
          </>
        );
      }}
    </View>
  );
}

function FindingTable({ rows }: { rows: readonly FindingView[] }) {
  return (
    <Table
      caption="Findings over the stored policies"
      rows={rows}
      rowKey={(row) => `${row.policy} ${row.code} ${row.field} ${row.message}`}
      empty="The checks found nothing here that an author probably did not mean. They read policies; they do not know who ought to call whom."
      columns={[
        { name: 'Policy', rowHead: true, render: (row) => <Link href={pages.policies({ policy: row.policy })} prefetch={false}>{row.policy}</Link> },
        { name: 'Severity', render: (row) => <Tag tone={SEVERITY_TONE[row.severity]}>{severityName(row.severity)}</Tag> },
        { name: 'Check', render: (row) => <code>{row.code}</code> },
        { name: 'Place', render: (row) => <span className="mono wrap">{row.field}</span> },
        { name: 'Finding', render: (row) => <span className="wrap">{sentence(row.message)}</span> },
        { name: 'Remedy', render: (row) => <span className="wrap">{sentence(row.remedy)}</span> },
      ]}
    />
  );
}
