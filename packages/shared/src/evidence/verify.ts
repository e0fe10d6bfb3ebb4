import { type KeyObject, verify } from 'node:crypto';
import { brokenChain } from './observations.ts';
import { ENVELOPE, encodeEnvelope, isSafeName, keyIdOf, PREDICATE_TYPE, preAuthentication, STATEMENT_TYPE, SUMS, sumsOf } from './sign.ts';
import { canonicalJson, decode, encode, sha256 } from './text.ts';

export interface BundleProblem {
  readonly file: string;
  readonly problem: string;
  readonly kind: 'changed' | 'missing' | 'added' | 'swapped' | 'unsafe-name' | 'broken-chain' | 'wrong-key' | 'bad-signature' | 'malformed-envelope';
}

/**
 * Checks a bundle against the exporter's public key, which must have come by another way than the bundle.
 *
 * The envelope must be the one canonical encoding of what it holds: DSSE leaves the key id, white space and base64
 * padding unsigned, and a byte that may change unseen is a byte that cannot be trusted.
 *
 * @param files every file of the bundle by its path
 * @returns `ok` only when there is no problem; each problem names its file
 */
export function verifyBundle(files: ReadonlyMap<string, Uint8Array>, publicKey: KeyObject): { ok: boolean; problems: BundleProblem[] } {
  const unsafe = [...files.keys()].filter((name) => !isSafeName(name)).sort();
  const problems: BundleProblem[] = unsafe.map((file) => ({ file, kind: 'unsafe-name', problem: 'has a name that no bundle holds' }));
  const opened = openEnvelope(files.get(ENVELOPE), publicKey);
  if ('kind' in opened) problems.push(opened);
  else problems.push(...compareFiles(files, opened.subjects, new Set(unsafe)));
  const chain = chainProblem(files);
  if (chain) problems.push(chain);
  return { ok: problems.length === 0, problems };
}

interface Opened {
  readonly subjects: ReadonlyMap<string, string>;
}

function openEnvelope(bytes: Uint8Array | undefined, publicKey: KeyObject): Opened | BundleProblem {
  const bad = (kind: BundleProblem['kind'], problem: string): BundleProblem => ({ file: ENVELOPE, kind, problem });
  if (!bytes) return bad('missing', 'is missing; without it nothing is signed');
  if (publicKey.asymmetricKeyType !== 'ed25519') return bad('wrong-key', 'cannot be checked: the key given is not an Ed25519 public key');
  const envelope = readEnvelope(bytes);
  if (!envelope) return bad('malformed-envelope', 'is not a canonical DSSE envelope with one signature');
  if (envelope.keyid !== keyIdOf(publicKey)) {
    return bad('wrong-key', `names key ${envelope.keyid.slice(0, 64)}, but the key given is ${keyIdOf(publicKey)}`);
  }
  if (!verify(null, preAuthentication(envelope.payload), publicKey, envelope.signature)) {
    return bad('bad-signature', 'has a signature that the key did not make over this content');
  }
  const subjects = readSubjects(envelope.payload);
  return subjects ? { subjects } : bad('malformed-envelope', 'holds no canonical in-toto statement of our kind');
}

function readEnvelope(bytes: Uint8Array): { payload: Uint8Array; keyid: string; signature: Uint8Array } | null {
  const value = parse(bytes) as { payload?: unknown; signatures?: { keyid?: unknown; sig?: unknown }[] } | null;
  const { keyid, sig } = (Array.isArray(value?.signatures) ? value.signatures[0] : null) ?? {};
  if (typeof value?.payload !== 'string' || typeof keyid !== 'string' || typeof sig !== 'string') return null;
  const payload = Buffer.from(value.payload, 'base64');
  const signature = Buffer.from(sig, 'base64');
  const again = encodeEnvelope(payload.toString('base64'), keyid, signature.toString('base64'));
  return Buffer.compare(again, bytes) === 0 ? { payload, keyid, signature } : null;
}

function readSubjects(payload: Uint8Array): ReadonlyMap<string, string> | null {
  const value = parse(payload) as { _type?: unknown; predicateType?: unknown; subject?: unknown } | null;
  if (value?._type !== STATEMENT_TYPE || value.predicateType !== PREDICATE_TYPE || !Array.isArray(value.subject)) return null;
  if (Buffer.compare(encode(canonicalJson(value)), payload) !== 0) return null;
  const subjects = new Map<string, string>();
  for (const item of value.subject as ({ name?: unknown; digest?: { sha256?: unknown } } | null)[]) {
    const digest = item?.digest?.sha256;
    if (typeof item?.name !== 'string' || typeof digest !== 'string' || subjects.has(item.name)) return null;
    subjects.set(item.name, digest);
  }
  return subjects;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decode(bytes));
  } catch {
    return null;
  }
}

function compareFiles(files: ReadonlyMap<string, Uint8Array>, subjects: ReadonlyMap<string, string>, skip: ReadonlySet<string>): BundleProblem[] {
  const signedAs = new Map([...subjects].map(([name, digest]) => [digest, name]));
  const problems: BundleProblem[] = [];
  const found = new Set<string>();
  for (const name of [...files.keys()].filter((name) => name !== ENVELOPE && !skip.has(name)).sort()) {
    found.add(name);
    const digest = sha256(files.get(name) ?? '');
    const original = signedAs.get(digest);
    const expected = subjects.get(name);
    if (expected === digest) continue;
    if (original !== undefined) problems.push({ file: name, kind: 'swapped', problem: `holds the content of ${original}` });
    else if (expected === undefined) problems.push({ file: name, kind: 'added', problem: 'was not part of the bundle when it was signed' });
    else problems.push({ file: name, kind: 'changed', problem: 'is not the content that was signed' });
  }
  for (const name of [...subjects.keys()].filter((name) => !found.has(name)).sort()) {
    problems.push({ file: name, kind: 'missing', problem: 'is missing' });
  }
  const sums = files.get(SUMS);
  if (problems.length === 0 && skip.size === 0 && sums && Buffer.compare(sums, sumsOf(new Map(files))) !== 0) {
    problems.push({ file: SUMS, kind: 'changed', problem: 'does not list the files of the bundle' });
  }
  return problems;
}

function chainProblem(files: ReadonlyMap<string, Uint8Array>): BundleProblem | null {
  const observations = files.get('observations.jsonl');
  const checkpoint = files.get('checkpoint.txt');
  if (!observations || !checkpoint) return null;
  const problem = brokenChain(observations, checkpoint);
  return problem === null ? null : { file: 'observations.jsonl', kind: 'broken-chain', problem };
}
