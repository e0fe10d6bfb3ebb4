'use client';
import { applyView, previewView, type CallersView } from '@sallyport/shared/api';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { FailureNotice, FailureText } from '../shell/View.tsx';
import { DiffPanel } from './DiffPanel.tsx';
import { policyYaml } from './draft.ts';
import styles from './Policies.module.css';
import { Preview } from './Preview.tsx';
import type { Draft } from './useDraft.ts';
import { apiPaths } from '#lib/paths.ts';
import { ApiFailure, request } from '#lib/request.ts';
import { useSession, useWhyNot } from '#lib/session.tsx';
import { useWriteFor } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { TextArea } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Skeleton } from '#ui/Skeleton.tsx';

interface ReviewProps {
  readonly view: CallersView;
  readonly draft: Draft;
  readonly calls: readonly string[];
  readonly window: string;
  readonly onChange: (change: Partial<Draft>) => void;
  readonly onApplied: (policy: string) => void;
}

/** Third: the YAML that will be written, what it changes, and what it would have done to the recorded calls. */
export function ReviewStep({ view, draft, calls, window, onChange, onApplied }: ReviewProps) {
  const made = policyYaml({ name: draft.name, destination: view, calls: new Set(calls), addresses: new Set(draft.addresses) });
  const manifest = draft.yaml ?? made;
  const asked = useSettled(manifest);
  const preview = usePreview(asked, window);
  const current = asked === manifest && !preview.isPlaceholderData;
  return (
    <div className={styles.review}>
      <Panel
        title="YAML"
        note={draft.yaml === null ? 'follows your choices' : 'edited by hand'}
        actions={draft.yaml !== null && <Button kind="quiet" onPress={() => onChange({ yaml: null })}>Follow my choices again</Button>}
      >
        <div className="stack">
          <TextArea label="YAML of the policy" value={manifest} onChange={(yaml) => onChange({ yaml })} />
          <Apply manifest={manifest} whyNot={preview.error ? 'The operator does not accept this YAML; see the message beside it.' : !current || !preview.data ? 'The impact is still being computed.' : null} onApplied={onApplied} />
        </div>
      </Panel>
      <div className="stack">
        {preview.error ? (
          <FailureNotice error={preview.error} subject="the impact of this YAML" onRetry={() => void preview.refetch()} />
        ) : preview.data ? (
          <Preview preview={preview.data} current={current} beyond={<DiffPanel manifest={asked} />} />
        ) : (
          <Skeleton lines={10} minHeight={360} />
        )}
      </div>
    </div>
  );
}

/** A value once it has stopped changing for a moment, so that typing does not ask at every key. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 450);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

function usePreview(manifest: string, window: string) {
  const session = useSession();
  return useQuery({
    queryKey: [apiPaths.preview(), manifest, window],
    queryFn: async ({ signal }) =>
      request(apiPaths.preview(), previewView, { method: 'POST', body: { manifest, window }, signal, ...(session ? { csrfToken: session.csrfToken } : {}) }),
    placeholderData: keepPreviousData,
    staleTime: 15_000,
    gcTime: 60_000,
  });
}

function Apply({ manifest, whyNot, onApplied }: { manifest: string; whyNot: string | null; onApplied: (policy: string) => void }) {
  const write = useWriteFor(applyView);
  const role = useWhyNot('editor');
  const apply = (force: boolean) =>
    write.mutate(
      { path: apiPaths.apply(), method: 'POST', body: { manifest, dryRun: false, force, manager: 'console' } },
      {
        onSuccess: (done) => {
          const policy = done.results.find((result) => result.kind === 'AuthorizationPolicy');
          onApplied(policy ? `${policy.namespace ?? ''}/${policy.name}` : '');
        },
      },
    );
  const conflict = write.error instanceof ApiFailure && write.error.code === 'conflict';
  return (
    <>
      {write.error && (
        <Notice tone="bad" urgency="alert" title="Nothing was written">
          <FailureText error={write.error} />
          {conflict && <div><Button kind="danger" whyNot={role} onPress={() => apply(true)}>Take over the fields and apply</Button></div>}
        </Notice>
      )}
      <div><Button kind="primary" whyNot={role ?? whyNot} busy={write.isPending} onPress={() => apply(false)}>Apply</Button></div>
    </>
  );
}
