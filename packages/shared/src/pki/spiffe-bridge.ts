import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { toPem } from './certificate.ts';
import { bits, boolean, children, type Der, decode, encode, integer, octets, oid, readOid, sequence, set, tagged, time, utf8 } from './der.ts';

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const NAME_CONSTRAINTS = '2.5.29.30';
const AUTHORITY_KEY_ID = '2.5.29.35';
/** The anchors carry no time of their own: each root's end is copied. */
const FOREVER = Date.UTC(9999, 0, 1);

/**
 * Binds roots to their trust domains, for TLS libraries that know one list of roots alone. X509-SVID §5.1: a leaf is
 * validated "against the SPIFFE bundle ... of the trust domain" that it names; in one list, the root of trust domain B
 * could vouch for a name in A.
 *
 * Every trust domain has an anchor here that may sign names of that domain alone (RFC 5280 §4.2.1.10), and signs anew
 * each root's subject and key. The anchors' keys stay in this object, for the life of the process.
 */
export class TrustBridge {
  readonly #anchors = new Map<string, Anchor>();
  readonly #crossed = new Map<string, string>();

  /**
   * @param bundles roots in PEM by trust domain
   * @returns what to trust instead, in PEM
   * @throws Error when a root is no readable CA certificate
   */
  anchors(bundles: ReadonlyMap<string, readonly string[]>): string[] {
    const result: string[] = [];
    const used = new Set<string>();
    for (const [trustDomain, roots] of bundles) {
      const anchor = this.#anchor(trustDomain);
      result.push(anchor.pem);
      for (const root of roots) {
        const key = `${trustDomain} ${root}`;
        const crossed = this.#crossed.get(key) ?? crossSign(root, anchor);
        this.#crossed.set(key, crossed);
        used.add(key);
        result.push(crossed);
      }
    }
    for (const key of this.#crossed.keys()) if (!used.has(key)) this.#crossed.delete(key);
    return result;
  }

  #anchor(trustDomain: string): Anchor {
    const anchor = this.#anchors.get(trustDomain) ?? createAnchor(trustDomain);
    this.#anchors.set(trustDomain, anchor);
    return anchor;
  }
}

interface Anchor {
  readonly name: Der;
  readonly key: KeyObject;
  readonly pem: string;
}

function createAnchor(trustDomain: string): Anchor {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // The serial tells anchors of several processes apart; the name is for whoever debugs a handshake.
  const name = sequence(set(sequence(oid(COMMON_NAME), utf8(`bridge ${randomBytes(4).toString('hex')}`))));
  // GeneralSubtree of a uniformResourceIdentifier: "the constraint MUST be specified as a fully qualified domain name".
  const permitted = tagged(0, [sequence(tagged(6, Buffer.from(trustDomain, 'latin1')))]);
  const extensions = [
    extension(BASIC_CONSTRAINTS, sequence(boolean(true))),
    extension(KEY_USAGE, bits(Buffer.from([0x04]), 2)),
    extension(NAME_CONSTRAINTS, sequence(permitted)),
  ];
  const validity = sequence(time(0), time(FOREVER));
  const spki = decode(publicKey.export({ type: 'spki', format: 'der' }));
  return { name, key: privateKey, pem: certificate({ issuer: name, validity, subject: name, spki, extensions }, privateKey) };
}

/**
 * The root's subject and key under the anchor. Its validity is copied, or an expired root would live again, and so are
 * its extensions, with the constraints that it puts upon itself.
 */
function crossSign(root: string, anchor: Anchor): string {
  const original = new X509Certificate(root);
  if (!original.ca) throw new Error('a root of the trust bundle is not a CA certificate');
  const fields = children(children(decode(original.raw))[0]);
  const [, , , , validity, subject, spki] = fields;
  if (!validity || !subject || !spki) throw new Error('a root of the trust bundle is not a certificate of version 3');
  const list = fields.find((item, index) => index > 6 && (item.tagClass as number) === 0x80 && (item.type as number) === 3);
  // Its identifier of the authority names another key than the anchor's.
  const extensions = children(children(list)[0]).filter((item) => readOid(children(item)[0]) !== AUTHORITY_KEY_ID);
  return certificate({ issuer: anchor.name, validity, subject, spki, extensions }, anchor.key);
}

interface Parts {
  readonly issuer: Der;
  readonly validity: Der;
  readonly subject: Der;
  readonly spki: Der;
  readonly extensions: readonly Der[];
}

function certificate({ issuer, validity, subject, spki, extensions }: Parts, key: KeyObject): string {
  const algorithm = sequence(oid(ECDSA_SHA256));
  const version = tagged(0, [integer(Buffer.from([2]))]);
  const serial = integer(randomBytes(16));
  const tbs = sequence(version, serial, algorithm, issuer, validity, subject, spki, tagged(3, [sequence(...extensions)]));
  return toPem('CERTIFICATE', encode(sequence(tbs, algorithm, bits(sign('sha256', encode(tbs), key)))));
}

function extension(id: string, value: Der): Der {
  return sequence(oid(id), boolean(true), octets(encode(value)));
}
