import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { issueCertificate, renewalTime } from '@sallyport/shared/pki';
import { z } from 'zod';
import { newSerial } from '../../ca/authority.ts';
import { newKeyPair } from '../../ca/key-files.ts';
import type { ServingPair } from './server.ts';

const HOUR = 3_600_000;
/** Clocks of API servers may be behind by this much. */
const SKEW = 60_000;
const SUBJECT = 'Sallyport webhook CA';

/** How long things last, in ms. */
export interface WebhookCaPolicy {
  /** Of a CA; the next is made at half of it. */
  readonly authority: number;
  /** Between a CA's entry into the bundle and its first signature: API servers and other replicas learn of it in between. */
  readonly spread: number;
  /** Of a serving certificate; renewed at half of it. */
  readonly serving: number;
}
export const WEBHOOK_CA_POLICY: WebhookCaPolicy = { authority: 365 * 24 * HOUR, spread: HOUR, serving: 24 * HOUR };

/** A CA of the webhook: its own, because pods must start also while the mesh's CA is being mended, and whoever its parent is. */
export interface WebhookAuthority {
  readonly certificate: string;
  readonly key: string;
}
const stored = z.array(z.strictObject({ certificate: z.string().max(8_192), key: z.string().max(8_192) })).max(8);

/** What the Secret holds. @throws Error when it is not what {@link writeAuthorities} wrote */
export function readAuthorities(text: string): WebhookAuthority[] {
  const authorities = stored.parse(JSON.parse(text));
  for (const { certificate, key } of authorities) {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) throw new Error('a key that is not that of its certificate');
  }
  return authorities;
}

/** The text of {@link readAuthorities}. */
export function writeAuthorities(authorities: readonly WebhookAuthority[]): string {
  return JSON.stringify(authorities);
}

/**
 * The authorities as they should be now: without those that have ended, and with a successor when the last one has reached
 * half of its life. The same list when nothing is due.
 */
export async function duly(authorities: readonly WebhookAuthority[], now: number, policy: WebhookCaPolicy): Promise<readonly WebhookAuthority[]> {
  const valid = authorities.filter(({ certificate }) => timesOf(certificate).notAfter > now);
  const last = valid.at(-1);
  if (last && now < halfOf(last)) return valid.length === authorities.length ? authorities : valid;
  return [...valid, await newAuthority(now, policy)];
}

/** The one that signs: the newest that everybody has had time to learn of, else the oldest. */
export function signing(authorities: readonly WebhookAuthority[], now: number, policy: WebhookCaPolicy): WebhookAuthority | undefined {
  return authorities.findLast(({ certificate }) => timesOf(certificate).notBefore + SKEW + policy.spread <= now) ?? authorities[0];
}

/** A serving certificate for the webhook's names (RFC 9525 §3: DNS-ID), and when to replace it. */
export async function issueServing({ certificate, key }: WebhookAuthority, names: readonly string[], now: number, policy: WebhookCaPolicy): Promise<{ pair: ServingPair; renewAt: number; notAfter: number }> {
  const keys = await newKeyPair();
  const notAfter = Math.min(now + policy.serving, timesOf(certificate).notAfter);
  const template = { subject: 'Sallyport webhook', uri: null, dns: names, notBefore: now - SKEW, notAfter, serial: newSerial(), kind: { ca: false } as const };
  const cert = issueCertificate(template, keys.publicKey, issuerOf(createPrivateKey(key)));
  return { pair: { key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, cert }, renewAt: renewalTime(now, notAfter, randomBytes(4).readUInt32BE() / 2 ** 32), notAfter };
}

async function newAuthority(now: number, policy: WebhookCaPolicy): Promise<WebhookAuthority> {
  const { privateKey, publicKey } = await newKeyPair();
  const template = { subject: SUBJECT, uri: null, notBefore: now - SKEW, notAfter: now + policy.authority, serial: newSerial(), kind: { ca: true, pathLength: 0 } as const };
  return { certificate: issueCertificate(template, publicKey, issuerOf(privateKey)), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}

/** All have one name; verifiers tell them apart by their key identifiers (RFC 5280 §4.2.1.1). */
function issuerOf(privateKey: KeyObject) {
  return { subject: SUBJECT, privateKey, publicKey: createPublicKey(privateKey) };
}

function timesOf(pem: string): { notBefore: number; notAfter: number } {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  return { notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
}

function halfOf({ certificate }: WebhookAuthority): number {
  const { notBefore, notAfter } = timesOf(certificate);
  return (notBefore + SKEW + notAfter) / 2;
}
