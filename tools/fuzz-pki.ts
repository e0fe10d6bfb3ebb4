import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  checkPeerLeaf, createCsr, fromPem, InvalidCsrError, type Issuer, issueCertificate, PeerLeafError, readCaCertificate, readCsr, toPem, UnreadableCertificateError,
} from '@sallyport/shared/pki';

/**
 * `npm run fuzz:pki -- [--minutes N] [--seed N]`
 *
 * Mutates certificate requests and certificates and gives them to everything that reads one from outside. Each must be
 * read or refused by the error that says so; any other error, and a request that is taken although its key or content
 * changed, is a finding: it is printed with what reproduces it, and the exit code is 1.
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run fuzz:pki -- [--minutes N] [--seed N]');
  process.exit(2);
}

/** mulberry32: a finding must be reproducible from its seed. */
let state = seed;
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer: Issuer = { subject: 'fuzz root', ...keys };
const times = { notBefore: 0, notAfter: Date.UTC(2049, 0, 1), serial: Buffer.from([1]) };
const certificate = (kind: Parameters<typeof issueCertificate>[0]['kind'], subject: string, uri: string | null) =>
  fromPem('CERTIFICATE', issueCertificate({ ...times, subject, uri, kind }, keys.publicKey, issuer));

const REQUEST = fromPem('CERTIFICATE REQUEST', createCsr(keys));
const CERTIFICATES = [
  certificate({ ca: false }, '', 'spiffe://fuzz.test/ns/a/sa/b'),
  certificate({ ca: true, pathLength: 0, permittedHost: 'fuzz.test' }, 'fuzz issuer', 'spiffe://fuzz.test'),
  certificate({ ca: true, pathLength: null }, 'fuzz root', null),
];

type Mutation = (bytes: Buffer) => Buffer;
const at = (bytes: Buffer) => random(Math.max(1, bytes.length));
const MUTATIONS: readonly Mutation[] = [
  (bytes) => set(bytes, at(bytes), 1 << random(8), true),
  (bytes) => set(bytes, at(bytes), random(256), false),
  (bytes) => bytes.subarray(0, at(bytes)),
  (bytes) => splice(bytes, at(bytes), random(8), Buffer.alloc(0)),
  (bytes) => splice(bytes, at(bytes), 0, Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256)))),
  // Lengths and tags that tell of more than there is, or of BER.
  (bytes) => splice(bytes, at(bytes), 1, Buffer.from([[0x80], [0x84, 0xff, 0xff, 0xff, 0xff], [0x82, 0x00, 0x10], [0x30, 0x80], [0x00, 0x00]][random(5)] ?? [])),
  (bytes) => splice(bytes, at(bytes), 0, bytes.subarray(at(bytes), at(bytes) + random(64))),
  (bytes) => Buffer.concat([Buffer.alloc(random(3000), 0x30), bytes]),
];

function set(bytes: Buffer, index: number, value: number, flip: boolean): Buffer {
  const copy = Buffer.from(bytes);
  copy[index] = flip ? (copy[index] ?? 0) ^ value : value;
  return copy;
}

function splice(bytes: Buffer, index: number, remove: number, insert: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, index), insert, bytes.subarray(index + remove)]);
}

function mutate(bytes: Buffer): Buffer {
  let result = bytes;
  for (let times = 1 + random(4); times > 0; times -= 1) result = MUTATIONS[random(MUTATIONS.length)]?.(result) ?? result;
  return result;
}

/** @returns whether it was read; what it throws beyond `refusal` is a finding */
function attempt(read: () => void, refusal: new (message: string) => Error): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof refusal) return false;
    throw error;
  }
}

/** The signed part begins after the outer header, and the signature is all that may be written in another way. */
function checkTaken(der: Buffer, key: KeyObject): void {
  const header = (REQUEST[1] ?? 0) < 0x80 ? 2 : 3;
  const signed = REQUEST.subarray(header, header + 3 + (REQUEST[header + 2] ?? 0));
  if (!key.equals(keys.publicKey) || !der.includes(signed)) throw new Error('a request was taken although its signed part changed');
}

const TARGETS: readonly { readonly name: string; readonly run: () => boolean; readonly input: () => Buffer }[] = (() => {
  let input = REQUEST;
  const fresh = (from: Buffer) => (input = mutate(from));
  const anyCertificate = () => CERTIFICATES[random(CERTIFICATES.length)] ?? REQUEST;
  return [
    { name: 'readCsr', input: () => input, run: () => { const der = fresh(REQUEST); return attempt(() => checkTaken(der, readCsr(toPem('CERTIFICATE REQUEST', der))), InvalidCsrError); } },
    { name: 'readCsr of broken PEM', input: () => input, run: () => { const pem = fresh(Buffer.from(toPem('CERTIFICATE REQUEST', REQUEST))); return attempt(() => { readCsr(pem.toString('latin1')); }, InvalidCsrError); } },
    { name: 'checkPeerLeaf', input: () => input, run: () => { const der = fresh(anyCertificate()); return attempt(() => { checkPeerLeaf(der); }, PeerLeafError); } },
    { name: 'readCaCertificate', input: () => input, run: () => { const der = fresh(anyCertificate()); return attempt(() => { readCaCertificate(toPem('CERTIFICATE', der)); }, UnreadableCertificateError); } },
  ];
})();

const counts = new Map(TARGETS.map(({ name }) => [name, { runs: 0, taken: 0, slowestMs: 0 }]));
let findings = 0;
console.log(`seed ${seed}, ${minutes} min`);
for (const end = Date.now() + minutes * 60_000; Date.now() < end && findings < 10;) {
  for (const { name, run, input } of TARGETS) {
    const count = counts.get(name);
    const began = performance.now();
    try {
      if (run() && count) count.taken += 1;
    } catch (error) {
      findings += 1;
      console.error(`FINDING in ${name}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n  input ${input().toString('base64')}`);
    }
    if (count) Object.assign(count, { runs: count.runs + 1, slowestMs: Math.max(count.slowestMs, performance.now() - began) });
  }
}
for (const [name, { runs, taken, slowestMs }] of counts) console.log(`${name}: ${runs} inputs, ${taken} taken, ${runs - taken} refused, slowest ${slowestMs.toFixed(1)} ms`);
console.log(findings === 0 ? 'no findings' : `${findings} findings`);
process.exitCode = findings === 0 ? 0 : 1;
