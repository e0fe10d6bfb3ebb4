'use client';
import type { CallersView } from '@sallyport/shared/api';
import { AddressGroup, IdentityGroup } from './CallerGroups.tsx';
import { groupCallers, nameProblem, type CallerGroup } from './draft.ts';
import type { Draft } from './useDraft.ts';
import { count, plural } from '#lib/format.ts';
import { Button } from '#ui/Button.tsx';
import { Input } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';

interface AllowProps {
  readonly view: CallersView;
  readonly draft: Draft;
  readonly calls: readonly string[];
  readonly onChange: (change: Partial<Draft>) => void;
  readonly onNext: () => void;
}

/** Second: who really called and how, and which of it to allow. */
export function AllowStep({ view, draft, calls, onChange, onNext }: AllowProps) {
  const groups = groupCallers(view.callers);
  const identities = groups.filter((group) => group.principal !== null);
  const nameless = groups.filter((group) => group.principal === null);
  const chosen = new Set(calls);
  // A new choice makes the YAML follow again: what was edited by hand was edited for the choices before.
  const choose = (keys: readonly string[], on: boolean) => onChange({ calls: [...new Set([...calls.filter((key) => on || !keys.includes(key)), ...(on ? keys : [])])], yaml: null });
  const admit = (ips: readonly string[], on: boolean) => onChange({ addresses: [...draft.addresses.filter((ip) => !ips.includes(ip)), ...(on ? ips : [])], yaml: null });
  const problem = nameProblem(draft.name);
  return (
    <>
      <Plaintext groups={nameless} admitted={draft.addresses} />
      {view.callers.length === 0 && (
        <Notice tone="idle" title="Nobody was seen calling this service in the window">
          <p>A policy written now lets nobody in. {view.coverage.proxiesReporting === 0 ? 'No proxy reported either, so this proves nothing.' : 'Choose a longer window to see rarer callers.'}</p>
        </Notice>
      )}
      {nameless.map((group) => <AddressGroup key={group.key} group={group} admitted={group.ips.every((ip) => draft.addresses.includes(ip))} onAdmit={(on) => admit(group.ips, on)} />)}
      {identities.map((group) => <IdentityGroup key={group.key} group={group} chosen={chosen} onChoose={choose} />)}
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Input label="Name of the policy" value={draft.name} onChange={(name) => onChange({ name, yaml: null })} maxLength={63} invalid={problem !== null} hint={problem ?? `in namespace ${view.namespace}`} />
        <div style={{ paddingTop: 22 }}><Button kind="primary" whyNot={problem} onPress={onNext}>Next: YAML and impact</Button></div>
      </div>
      <p className="muted">What is not ticked is refused once the policy is in force: an ALLOW policy lets in what it names and nothing else.</p>
    </>
  );
}

/** Says it before anything can be chosen: plaintext cannot be allowed by identity, and will be cut off unless one chooses. */
function Plaintext({ groups, admitted }: { groups: readonly CallerGroup[]; admitted: readonly string[] }) {
  if (groups.length === 0) return null;
  const cut = groups.filter((group) => !group.ips.every((ip) => admitted.includes(ip)));
  const requests = groups.reduce((total, group) => total + group.requests, 0);
  return (
    <Notice tone="bad" title={`${plural(groups.length, 'caller')} showed no identity: ${count(requests)} calls`}>
      <p>
        A caller that speaks plaintext has no identity, so no rule by identity can ever admit it.{' '}
        {cut.length > 0 ? <strong>{cut.length} of them will be cut off by this policy</strong> : 'You have chosen to admit all of them by address'}.
        Enrol it, so that it calls under its own identity, or admit its address knowing what that means.
      </p>
    </Notice>
  );
}
