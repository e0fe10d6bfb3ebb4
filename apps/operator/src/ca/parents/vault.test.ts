import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readCsr } from '@sallyport/shared/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leadsTo, MINUTE, TestCa, TRUST_DOMAIN } from '../ca.fixture.ts';
import { CorporateCa, keysFor } from './corporate.fixture.ts';
import { VaultParent } from './vault.ts';

/**
 * A stand-in of ours for Vault's HTTP API, by its documentation: it answers `root/sign-intermediate` of the PKI engine
 * as Vault does. Vault itself cannot be built as a Go tool module, because it replaces modules of its own.
 */
class VaultStandIn {
  readonly #server: Server;
  readonly #corporate: CorporateCa;
  readonly asked: { path: string; headers: IncomingMessage['headers']; body: Record<string, unknown> }[] = [];
  answer: (body: Record<string, unknown>) => { status: number; body: unknown } | null = (body) => ({ status: 200, body: this.signed(body) });

  constructor(corporate: CorporateCa, tls?: { key: string; cert: string }) {
    this.#corporate = corporate;
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => {
        const body = JSON.parse(text) as Record<string, unknown>;
        this.asked.push({ path: request.url ?? '', headers: request.headers, body });
        const answer = this.answer(body);
        if (answer) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      });
    };
    this.#server = tls ? createTlsServer(tls, handler) : createServer(handler);
  }

  signed(body: Record<string, unknown>): { data: object } {
    const key = readCsr(String(body['csr']));
    const seconds = Number.parseInt(String(body['ttl']), 10);
    const certificate = this.#corporate.certify(String(body['common_name']), key, { uri: String(body['uri_sans']), notAfter: Date.now() + seconds * 1000 });
    return { data: { certificate, issuing_ca: this.#corporate.policyPem, ca_chain: [this.#corporate.policyPem, this.#corporate.rootPem], serial_number: '00' } };
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let ca: TestCa;
let corporate: CorporateCa;
let vault: VaultStandIn;
let port: number;
const path = (name: string) => join(ca.directory, name);
const specOf = (address: string) => ({ address, mount: 'pki/mesh', tokenFile: path('token'), timeout: '2s' });
const follow = (more: object = {}) => {
  ca.parent = new VaultParent({ ...specOf(`http://127.0.0.1:${port}`), ...more }, TRUST_DOMAIN);
  ca.wanted = 'vault';
};
beforeEach(async () => {
  ca = new TestCa();
  ca.now = Date.now();
  ca.policy = { leaf: 60 * MINUTE, issuer: 600 * MINUTE, root: 6000 * MINUTE, manual: false };
  corporate = new CorporateCa(() => ca.now);
  vault = new VaultStandIn(corporate);
  port = await vault.listen();
  writeFileSync(path('token'), 's.token-1\n');
  await ca.tick();
});
afterEach(() => {
  vault.close();
  ca.close();
});

describe('Vault as the parent (a stand-in for it)', () => {
  it('signs an intermediate for a key that never leaves us, with the token of the moment', async () => {
    follow({ namespace: 'team/mesh' });
    await ca.tick();
    const { chain, issuer } = await ca.issue();
    expect(issuer).toBe('shop.test issuing');
    expect(leadsTo(chain, ca.authority.roots(), ca.now)).toBe(true);
    expect(leadsTo(chain, [corporate.rootPem], ca.now)).toBe(true);
    const [asked] = vault.asked;
    expect(asked?.path).toBe('/v1/pki/mesh/root/sign-intermediate');
    expect(asked?.headers).toMatchObject({ 'x-vault-token': 's.token-1', 'x-vault-namespace': 'team/mesh' });
    expect(asked?.body).toMatchObject({ ttl: '36000s', max_path_length: 0, uri_sans: 'spiffe://shop.test' });
    expect(JSON.stringify(asked?.body)).not.toContain('PRIVATE KEY');
    writeFileSync(path('token'), 's.token-2');
    ca.now += 300 * MINUTE;
    await ca.tick();
    expect(vault.asked[1]?.headers).toMatchObject({ 'x-vault-token': 's.token-2' });
    expect(vault.asked[1]?.body['csr']).not.toBe(asked?.body['csr']);
  });

  it.each<[string, () => void, RegExp]>([
    ['a refusal', () => { vault.answer = () => ({ status: 403, body: { errors: ['permission denied'] } }); }, /status 403\): permission denied; check the token/],
    ['another form', () => { vault.answer = () => ({ status: 200, body: { data: {} } }); }, /an answer of another form/],
    ['silence', () => { vault.answer = () => null; follow({ timeout: '100ms' }); }, /no answer within 100ms/],
    ['nobody there', () => vault.close(), /cannot be reached/],
    ['a token that is none', () => writeFileSync(path('token'), 'two\nlines'), /holds no Vault token/],
    ['no token', () => follow({ tokenFile: '/nowhere/token' }), /cannot be read \(ENOENT\)/],
    ['plaintext elsewhere', () => follow({ address: 'http://vault.test:8200' }), /would send the Vault token in plaintext/],
    ['an answer without end', () => { vault.answer = () => ({ status: 200, body: 'x'.repeat(2_000_000) }); }, /larger than/],
    ['a certificate for another key', () => {
      vault.answer = (body) => ({ status: 200, body: { data: { ...(vault.signed(body).data), certificate: corporate.certify('x', createPublicKey(keysFor('x').publicKey.export({ type: 'spki', format: 'pem' }))) } } });
    }, /key does not belong/],
  ])('%s leaves the present CA as it is', async (_name, spoil, reason) => {
    const roots = ca.authority.roots();
    follow();
    spoil();
    await expect(ca.tick()).rejects.toThrow(reason);
    expect(ca.authority.roots()).toEqual(roots);
    expect(leadsTo((await ca.issue()).chain, roots, ca.now)).toBe(true);
  });

  it('is believed only by the CA file that was given', async () => {
    const selfSigned = (name: string) => {
      const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=vault', '-addext', 'subjectAltName=IP:127.0.0.1'];
      execFileSync('openssl', [...make, '-keyout', path(`${name}.pem`), '-out', path(`${name}.crt`)], { stdio: 'pipe' });
      return { key: readFileSync(path(`${name}.pem`), 'utf8'), cert: readFileSync(path(`${name}.crt`), 'utf8') };
    };
    const tls = new VaultStandIn(corporate, selfSigned('vault'));
    selfSigned('other');
    const address = `https://127.0.0.1:${await tls.listen()}`;
    follow({ address, caFile: path('other.crt') });
    await expect(ca.tick()).rejects.toThrow(/cannot be reached: self-signed certificate/);
    expect(tls.asked).toEqual([]);
    follow({ address, caFile: path('vault.crt') });
    await ca.tick();
    expect((await ca.issue()).issuer).toBe('shop.test issuing');
    tls.close();
  });
});
