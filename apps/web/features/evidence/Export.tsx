'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { FailureText } from '../shell/View.tsx';
import { rangeOf, RANGES } from './range.ts';
import { bytes } from '#lib/format.ts';
import { useNow } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { requestFile } from '#lib/request.ts';
import { useSession } from '#lib/session.tsx';
import { Button } from '#ui/Button.tsx';
import { Input, Select } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';

export function Export() {
  const [choice, setChoice] = useState('1h');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const now = useNow();
  const range = rangeOf(choice, from, to, now ?? 0);
  const problem = 'problem' in range ? range.problem : null;
  const save = useExport();
  return (
    <Panel title="Export a bundle">
      <div className="stack">
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <Select label="Range" value={choice} onChange={setChoice} options={RANGES.map(({ id, name }) => ({ value: id, name }))} />
          {choice === 'custom' && (
            <>
              <Input label="From" type="datetime-local" value={from} onChange={setFrom} />
              <Input label="To, not included" type="datetime-local" value={to} onChange={setTo} />
            </>
          )}
          <div style={{ paddingTop: 22 }}>
            <Button kind="primary" whyNot={problem} busy={save.isPending} onPress={() => save.mutate(rangeOf(choice, from, to, Date.now()))}>
              {save.isPending ? 'Writing the bundle…' : 'Export and download'}
            </Button>
          </div>
        </div>
        {save.error && <Notice tone="bad" urgency="alert" title="No bundle was made"><FailureText error={save.error} /></Notice>}
        {save.data && <Notice tone="ok" urgency="status" title={`Saved ${save.data.name}, ${bytes(save.data.size)}`}><p>Its contents say which part of the range nobody reported. Verify it before you hand it over.</p></Notice>}
      </div>
    </Panel>
  );
}

function useExport() {
  const session = useSession();
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (range: ReturnType<typeof rangeOf>) => {
      if ('problem' in range) throw new Error(range.problem);
      const { blob, name } = await requestFile(apiPaths.evidence(), { method: 'POST', body: range, ...(session ? { csrfToken: session.csrfToken } : {}) });
      const url = URL.createObjectURL(blob);
      const link = document.createElement('a');
      link.href = url;
      link.download = name;
      link.click();
      // The browser has begun to read it by then; kept longer, every bundle would stay in memory.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      return { name, size: blob.size };
    },
    onSettled: async () => client.invalidateQueries({ predicate: ({ queryKey: [path] }) => path === apiPaths.evidence() }),
  });
}
