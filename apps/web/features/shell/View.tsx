'use client';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { clock, duration, sentence } from '#lib/format.ts';
import { useLive, useNow, REFRESH_MS } from '#lib/live.tsx';
import { ApiFailure } from '#lib/request.ts';
import { Button } from '#ui/Button.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Skeleton } from '#ui/Skeleton.tsx';

interface ViewProps<T> {
  readonly query: UseQueryResult<T>;
  /** What is shown, as the end of "Cannot show …". */
  readonly subject: string;
  readonly lines?: number;
  readonly minHeight?: number;
  readonly children: (data: T) => ReactNode;
}

/** The four honest states of anything asked of the operator: loading, failed, shown, and shown but getting old. */
export function View<T>({ query, subject, lines = 6, minHeight, children }: ViewProps<T>) {
  if (query.data !== undefined) {
    return (
      <>
        <StaleNotice query={query} subject={subject} />
        {children(query.data)}
      </>
    );
  }
  if (query.error) return <FailureNotice error={query.error} subject={subject} onRetry={() => void query.refetch()} />;
  return <Skeleton lines={lines} {...(minHeight === undefined ? {} : { minHeight })} />;
}

function StaleNotice({ query, subject }: { query: UseQueryResult; subject: string }) {
  const now = useNow();
  const { paused } = useLive();
  if (now === null) return null;
  const age = now - query.dataUpdatedAt;
  if (query.error) {
    return (
      <Notice tone="warn" urgency="status" title={`This is ${duration(age)} old: ${subject} cannot be refreshed`}>
        <p>{sentence(query.error.message)} {query.error instanceof ApiFailure ? sentence(query.error.remedy) : ''} Last answer at {clock(query.dataUpdatedAt, now)}.</p>
      </Notice>
    );
  }
  if (paused && age > 3 * REFRESH_MS) {
    return <Notice tone="idle" title={`Paused: this is ${duration(age)} old, from ${clock(query.dataUpdatedAt, now)}`} />;
  }
  return null;
}

export function FailureNotice({ error, subject, onRetry }: { error: Error; subject: string; onRetry?: () => void }) {
  const failure = error instanceof ApiFailure ? error : null;
  return (
    <Notice tone="bad" urgency="alert" title={`Cannot show ${subject}`}>
      <FailureText error={error} />
      {onRetry && failure?.code !== 'forbidden' && (
        <div><Button onPress={onRetry}>Try again</Button></div>
      )}
    </Notice>
  );
}

/** An error in full: what, where exactly, and what to do. */
export function FailureText({ error }: { error: Error }) {
  const failure = error instanceof ApiFailure ? error : null;
  // Of a refused manifest the message is the list of its problems on one line.
  const repeated = failure?.details.every((detail) => error.message.includes(detail.message)) === true && failure.details.length > 0;
  return (
    <>
      {!repeated && <p>{sentence(error.message)}</p>}
      {failure && failure.details.length > 0 && (
        <ul>
          {failure.details.map((detail) => (
            <li key={`${detail.resource}${detail.field}${detail.message}`}>
              <code>{[detail.resource, detail.field].filter(Boolean).join(' ')}</code>: {detail.message}
            </li>
          ))}
        </ul>
      )}
      {failure && failure.remedy !== '' && <p className="muted">{sentence(failure.remedy)}</p>}
    </>
  );
}
