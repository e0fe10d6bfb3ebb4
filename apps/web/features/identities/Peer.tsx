import { shortIdentity } from '#lib/format.ts';

interface PeerProps {
  readonly source: { readonly principal: string | null; readonly ip: string; readonly workload?: string | null };
}

/** Who called: the identity of its certificate, or the plain admission that there was none. */
export function Peer({ source }: PeerProps) {
  if (source.principal !== null) {
    return (
      <span className="mono wrap" title={source.principal}>
        {shortIdentity(source.principal)}
        <span className="muted" style={{ display: 'block', fontWeight: 400 }}>{source.ip}</span>
      </span>
    );
  }
  return (
    <span className="mono wrap">
      {source.ip}
      <span className="muted" style={{ display: 'block', fontWeight: 400 }}>
        no identity{source.workload ? `, address of ${source.workload}` : ''}
      </span>
    </span>
  );
}
