'use client';
import { useState } from 'react';
import { type CallText, hasRare, NO_CALL, requestOf } from './call.ts';
import { useWorkloads } from './useWorkloads.ts';
import styles from './Policies.module.css';
import { Button } from '#ui/Button.tsx';
import { Input, Select } from '#ui/Field.tsx';
import { Panel } from '#ui/Panel.tsx';

interface CallFormProps {
  /** The call of the address; the form follows when that changes. */
  readonly call: CallText;
  readonly onAsk: (call: CallText) => void;
}

/** Describes one call. What is left empty takes the usual value for the destination. */
export function CallForm({ call, onAsk }: CallFormProps) {
  const given = JSON.stringify(call);
  const [draft, setDraft] = useState(call);
  const [followed, setFollowed] = useState(given);
  const [asked, setAsked] = useState(false);
  const [more, setMore] = useState(hasRare(call));
  if (followed !== given) {
    setFollowed(given);
    setDraft(call);
    if (hasRare(call)) setMore(true);
  }
  const change = (part: Partial<CallText>) => setDraft({ ...draft, ...part });
  const question = requestOf(draft);
  const problems = asked && !question.ok ? question.problems : {};
  return (
    <Panel title="The call" actions={<Button kind="quiet" onPress={() => { setDraft(NO_CALL); setAsked(false); }}>Clear</Button>}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(true);
          if (question.ok) onAsk(draft);
        }}
      >
        <Ends draft={draft} problems={problems} onChange={change} />
        <div className={styles.fields}>
          <Select label="Protocol" value={draft.protocol} onChange={(protocol) => change({ protocol })} options={[{ value: '', name: 'as the port has it' }, { value: 'http', name: 'HTTP' }, { value: 'tcp', name: 'TCP' }]} />
          <Input label="Port" value={draft.port} maxLength={5} onChange={(port) => change({ port })} invalid={problems.port !== undefined} hint={problems.port ?? 'empty: the first'} />
          {draft.protocol !== 'tcp' && <Input label="Method" value={draft.method} onChange={(method) => change({ method })} hint="empty: GET" />}
          {draft.protocol !== 'tcp' && <Input label="Path, as on the wire" value={draft.path} maxLength={4096} onChange={(path) => change({ path })} hint="empty: /" />}
        </div>
        <div className="row"><Button kind="quiet" expanded={more} controls="call-more" onPress={() => setMore(!more)}>{more ? 'Fewer fields' : 'Host, addresses, headers, token …'}</Button></div>
        <div id="call-more" hidden={!more}>{more && <Rare draft={draft} problems={problems} onChange={change} />}</div>
        <div><Button type="submit" kind="primary">Explain</Button></div>
      </form>
    </Panel>
  );
}

interface FieldsProps {
  readonly draft: CallText;
  readonly problems: Partial<Record<keyof CallText, string>>;
  readonly onChange: (part: Partial<CallText>) => void;
}

/** Who calls whom: by name, or picked from what is registered. */
function Ends({ draft, problems, onChange }: FieldsProps) {
  const workloads = useWorkloads();
  const picks = workloads.map(({ id }) => ({ value: id, name: id }));
  const known = (value: string, list: readonly { value: string }[]) => (list.some((each) => each.value === value) ? value : '');
  const callers = [{ value: 'plaintext', name: 'a peer that speaks plaintext' }, ...picks];
  return (
    <div className={styles.fields}>
      <Select label="Pick a caller" value={known(draft.from, callers)} onChange={(from) => onChange({ from, ip: '' })} options={[{ value: '', name: 'another' }, ...callers]} />
      <Input label="From" value={draft.from} maxLength={2048} onChange={(from) => onChange({ from })} invalid={problems.from !== undefined} hint={problems.from ?? 'namespace/workload, a SPIFFE ID, or plaintext'} />
      <Select label="Pick a destination" value={known(draft.to, picks)} onChange={(to) => onChange({ to, port: '' })} options={[{ value: '', name: 'another' }, ...picks]} />
      <Input label="To" value={draft.to} onChange={(to) => onChange({ to })} invalid={problems.to !== undefined} hint={problems.to ?? 'namespace/workload or namespace/service'} />
    </div>
  );
}

function Rare({ draft, problems, onChange }: FieldsProps) {
  return (
    <div className={styles.fields}>
      <Input label="Host header" value={draft.host} maxLength={512} onChange={(host) => onChange({ host })} hint="empty: the workload’s name" />
      <Input label="Address of the peer" value={draft.ip} onChange={(ip) => onChange({ ip })} hint="empty: the caller’s own" />
      <Input label="Client behind trusted proxies" value={draft.remoteIp} onChange={(remoteIp) => onChange({ remoteIp })} hint="empty: the peer" />
      <Input label="Server name (SNI)" value={draft.sni} onChange={(sni) => onChange({ sni })} />
      <Input label="Headers" value={draft.headers} maxLength={4096} onChange={(headers) => onChange({ headers })} invalid={problems.headers !== undefined} hint={problems.headers ?? 'name: value | name: value'} />
      <Input label="Claims of the accepted token" value={draft.claims} maxLength={4096} onChange={(claims) => onChange({ claims })} invalid={problems.claims !== undefined} hint={problems.claims ?? 'JSON, such as {"sub": "ann"}'} />
    </div>
  );
}
