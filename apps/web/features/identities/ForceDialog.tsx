'use client';
import { type CaView, resourceList } from '@sallyport/shared/api';
import { useState } from 'react';
import { listedOf } from '../policies/listedKinds.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { Dialog } from '#ui/Dialog.tsx';
import { Input } from '#ui/Field.tsx';

interface ForceDialogProps {
  readonly ca: CaView;
  readonly busy: boolean;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/** Names who will break, and asks for the trust domain's name before anybody is broken. */
export function ForceDialog({ ca, busy, onConfirm, onClose }: ForceDialogProps) {
  const [typed, setTyped] = useState('');
  const federations = useView(apiPaths.resources('FederatedTrustDomain'), resourceList);
  const partners = listedOf('FederatedTrustDomain', federations.data?.items ?? []).objects.flatMap(({ spec }) => ('trustDomain' in spec ? [spec.trustDomain] : []));
  return (
    <Dialog
      title="Activate the root by force?"
      confirm="Activate by force"
      danger
      busy={busy}
      whyNot={typed === ca.trustDomain ? null : 'Type the trust domain’s name first.'}
      onConfirm={onConfirm}
      onClose={onClose}
    >
      {ca.lagging.length === 0 ? (
        <p>No live proxy lags: none of them breaks.</p>
      ) : (
        <>
          <p><strong>These proxies will break.</strong> They have not acknowledged the new root, and cannot verify the others until they are given the bundle by hand:</p>
          <ul aria-label="Proxies that will break">{ca.lagging.map(({ proxy }) => <li key={proxy}><code>{proxy}</code></li>)}</ul>
        </>
      )}
      {federations.error && <p>Which trust domains are federated is not known now: they may break too.</p>}
      {partners.length > 0 && <p>Other trust domains refuse our calls until they have fetched the bundle: {partners.join(', ')}.</p>}
      <Input label={`Type ${ca.trustDomain} to go on`} value={typed} onChange={setTyped} />
      <p className="muted">It is audited, with the names of who was passed over.</p>
    </Dialog>
  );
}
