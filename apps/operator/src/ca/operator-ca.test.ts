import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiError, AuditView, CaActionView, CaView } from '@sallyport/shared/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../store/postgres/client.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { until } from '../testing/until.ts';
import { WireProxy } from '../testing/proxy.ts';
import { leadsTo } from './ca.fixture.ts';

let operator: TestOperator;
let proxy: WireProxy;
let quiet: WireProxy;
beforeAll(async () => {
  operator = await startOperator();
  proxy = new WireProxy('node-1', operator);
  quiet = new WireProxy('node-2', operator);
  await proxy.enrol();
});
afterAll(async () => {
  proxy.close();
  quiet.close();
  await operator.close();
});

const ca = async () => (await operator.call('GET', '/ca')).body as CaView;
const act = (action: string, body: object = {}) => operator.call('POST', `/ca/${action}`, body);
const rootOf = (view: CaView, state: string) => view.certificates.find((entry) => entry.role === 'root' && entry.state === state);

describe('the CA in a running operator', () => {
  it('shows its certificates, and is readable by nobody without sign-in', async () => {
    const view = await ca();
    expect(view.certificates.map(({ role, state, inBundle }) => [role, state, inBundle])).toEqual([['issuer', 'active', false], ['root', 'active', true]]);
    expect(view).toMatchObject({ parent: { wanted: 'selfSigned', status: 'True' }, bundle: { roots: 1 }, record: 'intact', issuance: { issued: { operator: 1, 'join-token': 1 } } });
    expect(JSON.stringify(view)).not.toContain('PRIVATE KEY');
    for (const [method, path] of [['GET', '/ca'], ['POST', '/ca/activate'], ['POST', '/ca/rotate-root']] as const) {
      expect((await operator.call(method, path, undefined, { authorization: '' })).status).toBe(401);
    }
  });

  it('publishes a root to a connected proxy and activates it by itself when that has acknowledged', async () => {
    proxy.subscribe({ ack: false });
    await proxy.acknowledge(await proxy.delta(() => true));
    const before = rootOf(await ca(), 'active');
    const answer = (await act('rotate-root')).body as CaActionView;
    expect(answer.steps.map(({ step, role }) => `${step} ${role}`)).toEqual(['prepare root', 'prepare issuer', 'publish root']);
    const bundle = await proxy.delta((delta) => delta.upserts.some(({ name, entry }) => name === 'bundle' && entry.type === 'bundle' && entry.value.roots.length === 2));
    expect(bundle.upserts.find(({ name }) => name === 'bundle')?.entry.value).toMatchObject({ sequence: answer.ca.bundle.sequence });
    expect(rootOf(await ca(), 'published')?.next).toEqual({ step: 'activate', at: null, waitsFor: ['node-1'] });
    const refused = await act('activate');
    expect([refused.status, (refused.body as ApiError).error.message]).toEqual([412, expect.stringContaining('not acknowledged by node-1')]);
    await proxy.acknowledge(bundle);
    const after = await until(ca, (view) => rootOf(view, 'old')?.id === before?.id);
    expect(rootOf(after, 'active')?.id).toBe(answer.ca.certificates.find(({ role, state }) => role === 'root' && state === 'published')?.id);
    // Who has an SVID of the old root still gets through, and gets the next one from the new root.
    const { status, body } = await proxy.call('/v1/svid', { workload: null, csr: proxy.csr() });
    expect(status).toBe(200);
    expect(leadsTo((body as { chain: string[] }).chain, [rootOf(after, 'active')?.pem ?? ''], Date.now())).toBe(true);
    expect(readFileSync(join(operator.stateDir, 'bundle.pem'), 'utf8').match(/BEGIN/g)).toHaveLength(2);
  });

  it('waits for a proxy that is away, through a restart, and force says whom it leaves behind', async () => {
    await quiet.enrol();
    await act('rotate-root');
    await operator.restart();
    const view = await until(ca, (value) => rootOf(value, 'published') !== undefined);
    expect(rootOf(view, 'published')?.next?.waitsFor).toContain('node-2');
    const forced = (await act('activate', { force: true })).body as CaActionView;
    expect(forced.breaking).toContain('node-2');
    const { items } = (await operator.call('GET', '/audit')).body as AuditView;
    const entry = items.find(({ action }) => action === 'force-activate-root');
    expect(entry).toMatchObject({ actor: 'admin', resource: 'CertificateAuthority/shop.test', after: { breaking: forced.breaking } });
    expect(items.map(({ action }) => action)).toContain('rotate-root');
  });

  it('rotates the issuer without another bundle', async () => {
    const before = await ca();
    const { ca: after } = (await act('rotate-issuer')).body as CaActionView;
    expect(after.bundle).toEqual(before.bundle);
    expect((await act('activate')).status).toBe(412);
  });

  it('tells Prometheus of every certificate, what was issued and refused, and who lags', async () => {
    await proxy.join('spj_not_a_token_that_anybody_minted');
    const session = (await operator.call('POST', '/session?token=true', { username: 'admin', password: operator.password })).body as { token: string };
    const text = await (await fetch(`${operator.apiUrl}/metrics`, { headers: { authorization: `Bearer ${session.token}` } })).text();
    expect(text).toMatch(/sallyport_ca_not_after_seconds\{role="root",state="active",parent="selfSigned",in_bundle="true",fingerprint="[0-9A-F:]{95}"\} \d{10}/);
    expect(text).toMatch(/sallyport_ca_not_after_seconds\{role="issuer",state="active"/);
    expect(text).toContain('sallyport_svids_refused_total{reason="not-attested"} 1');
    expect(text).toMatch(/sallyport_svids_issued_total\{attestation="operator"\} \d+/);
    expect(text).toMatch(/sallyport_bundle_ack_lag_seconds\{proxy="node-2"\} \d/);
  });

  it('keeps a record of issuance that shows a changed row', async () => {
    const database = openDatabase(operator.databaseUrl);
    expect((await ca()).record).toBe('intact');
    const row = await database.certificate.findFirstOrThrow({ where: { proxy: 'node-1' }, orderBy: { seq: 'desc' } });
    await database.certificate.update({ where: { serial: row.serial }, data: { spiffeId: 'spiffe://shop.test/ns/shop/sa/admin' } });
    await operator.restart();
    expect((await until(ca, (view) => view.record === 'broken')).record).toBe('broken');
    await database.$disconnect();
  });
});
