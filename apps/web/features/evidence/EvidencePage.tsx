'use client';
import { evidenceKey, evidenceList } from '@sallyport/shared/api';
import { Ago, At } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { Export } from './Export.tsx';
import { bytes, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWhyNot } from '#lib/session.tsx';
import { Code } from '#ui/Code.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Facts, PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

const VERIFY = `# with the command line of this product
sallyport evidence verify sallyport-evidence.zip --key evidence-key.pem

# or with openssl alone: unpack, compare the key's fingerprint, then follow VERIFY.md
unzip sallyport-evidence.zip -d bundle && cd bundle
openssl pkey -pubin -in ../evidence-key.pem -outform DER | openssl dgst -sha256
sha256sum -c SHA256SUMS
less VERIFY.md`;

export function EvidencePage() {
  const denied = useWhyNot('auditor');
  return (
    <>
      <PageHead title="Evidence" lead="A signed bundle of what is known about a range of time: populations, observations, coverage with its gaps, and every change. Anyone can check it without this product." />
      {denied !== null ? <Notice tone="info" title="You may not read or export evidence"><p>{denied}</p></Notice> : (
        <>
          <Export />
          <div className="columns">
            <Key />
            <Panel title="How to verify">
              <div className="stack">
                <p>The check fails and names the file for any byte changed, file missing, added or swapped.</p>
                <Code label="Commands that verify a bundle" text={VERIFY} />
              </div>
            </Panel>
          </div>
          <Exports />
        </>
      )}
    </>
  );
}

function Key() {
  const key = useView(apiPaths.evidenceKey(), evidenceKey, { refreshMs: 60_000 });
  return (
    <View query={key} subject="the signing key" lines={6}>
      {(data) => (
        <Panel title="Public key">
          <div className="stack">
            <Facts items={[['Fingerprint', <span key="f" className="mono" data-evidence-fingerprint>{data.fingerprint}</span>], ['Key', <span key="k" className="mono">{data.keyId}</span>]]} />
            <Code label="Public key, PEM" text={data.publicKeyPem} />
            <p className="muted">Hand it to the auditor by another way than the bundle. A key that travels with what it signs proves nothing.</p>
            <p><a href={`data:application/x-pem-file,${encodeURIComponent(data.publicKeyPem)}`} download="evidence-key.pem">Save as evidence-key.pem</a></p>
          </div>
        </Panel>
      )}
    </View>
  );
}

function Exports() {
  const list = useView(apiPaths.evidence(), evidenceList);
  return (
    <View query={list} subject="the earlier exports" lines={4}>
      {(data) => (
        <Panel title="Earlier exports" note={plural(data.items.length, 'bundle')} flush>
          <Table
            caption="Earlier exports"
            rows={data.items}
            rowKey={(item) => item.id}
            empty="Nothing has been exported yet."
            columns={[
              { name: 'Made', rowHead: true, render: (item) => <Ago at={item.createdAt} /> },
              { name: 'By', render: (item) => item.createdBy },
              { name: 'From', render: (item) => <At at={item.from} /> },
              { name: 'To, not included', render: (item) => <At at={item.to} /> },
              { name: 'Size', right: true, render: (item) => bytes(item.bytes) },
              { name: 'SHA-256 of the file', render: (item) => <span className="mono wrap">{item.sha256}</span> },
            ]}
          />
        </Panel>
      )}
    </View>
  );
}
