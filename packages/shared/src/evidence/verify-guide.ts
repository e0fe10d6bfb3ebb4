import { ENVELOPE, PAYLOAD_TYPE, SUMS } from './sign.ts';

/** `VERIFY.md`: how to check the bundle without our code. A test runs these commands. */
export function verifyGuide(keyId: string): string {
  return GUIDE.replace('KEY-ID', keyId);
}

const GUIDE = `# How to verify this bundle

You need OpenSSL 3.0 or later, \`sha256sum\` and a POSIX shell, and the exporter's public key (\`sallyport-evidence.pub.pem\`).
**The key must reach you by another way than this bundle**: a key that travels with the evidence proves nothing.
It should have this fingerprint, but compare it with what its owner tells you, not with this file:

    KEY-ID

Run the steps from the directory that holds this file. \`KEY\` is the path of the public key, absolute or from here.

## 1. The key is the one you were told

\`\`\`sh
openssl pkey -pubin -in "$KEY" -outform DER | sha256sum
\`\`\`

## 2. The statement was signed with that key

The signature is over the DSSE pre-authentication encoding of the statement inside \`${ENVELOPE}\`.

\`\`\`sh
WORK=$(mktemp -d)
sed -n 's/.*"payload":"\\([^"]*\\)".*/\\1/p' ${ENVELOPE} | openssl base64 -d -A > "$WORK/statement.json"
sed -n 's/.*"sig":"\\([^"]*\\)".*/\\1/p' ${ENVELOPE} | openssl base64 -d -A > "$WORK/signature.bin"
SIZE=$(wc -c < "$WORK/statement.json" | tr -d ' ')
{ printf 'DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} %s ' "$SIZE"; cat "$WORK/statement.json"; } > "$WORK/signed.bin"
openssl pkeyutl -verify -pubin -inkey "$KEY" -rawin -in "$WORK/signed.bin" -sigfile "$WORK/signature.bin"
\`\`\`

It must say \`Signature Verified Successfully\`.

## 3. Every file is the one that was signed

\`\`\`sh
tr '{' '\\n' < "$WORK/statement.json" | sed -n 's/^"sha256":"\\([0-9a-f]*\\)"},"name":"\\([^"]*\\)"}.*/\\1  \\2/p' > "$WORK/sums"
sha256sum --strict -c "$WORK/sums"
\`\`\`

Every line must end in \`OK\`. \`${SUMS}\` lists the same files for convenience; the signed list is the one that counts.

## 4. Nothing was added or taken away

\`\`\`sh
find . ! -type d | sed 's|^\\./||' | grep -v '^attestation\\.dsse\\.json$' | LC_ALL=C sort > "$WORK/have"
sed 's/^[0-9a-f]*  //' "$WORK/sums" | LC_ALL=C sort > "$WORK/want"
diff "$WORK/want" "$WORK/have" && echo 'Nothing added or missing'
test -z "$(find . -type l)" && echo 'No symbolic links'
\`\`\`

## 5. The observations are whole

Each line of \`observations.jsonl\` names the SHA-256 of the line before it. \`checkpoint.txt\` says how many lines there are
and the hash of the last one. These two pairs of figures must agree (with no observations the hash is all zeros):

\`\`\`sh
wc -l < observations.jsonl; sed -n 2p checkpoint.txt
tail -n 1 observations.jsonl | tr -d '\\n' | sha256sum; sed -n 3p checkpoint.txt
\`\`\`

## What this does not prove

That the bundle is whole and signed, not that the mesh was observed all the time: read \`coverage.json\` first. An outcome
\`indeterminate\` in \`controls.csv\` means that the period was not covered well enough to say pass. Two or more bundles for
the same period can be compared file by file: the same stored facts give the same bytes.
`;
