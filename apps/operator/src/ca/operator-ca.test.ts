import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiError, AuditView, CaActionView, CaView } from '@sallyport/shared/api';
import type { Mesh } from '@sallyport/shared/resources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sallyport, scratch } from '../cli/test-server.ts';
import { openDatabase } from '../store/postgres/client.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { until } from '../testing/until.ts';
import { WireProxy } from '../testing/proxy.ts';
import { leadsTo, TestCa } from './ca.fixture.ts';

const RULES = new URL('../../../../docs/alerts.rules.yaml', import.meta.url);
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

async function metricsOf(from: TestOperator): Promise<string> {
  const session = (await from.call('POST', '/session?token=true', { username: 'admin', password: from.password })).body as { token: string };
  return (await fetch(`${from.apiUrl}/metrics`, { headers: { authorization: `Bearer ${session.token}` } })).text();
}

const ca = async () => (await operator.call('GET', '/ca')).body as CaView;
const act = (action: string, body: object = {}) => operator.call('POST', `/ca/${action}`, body);
const rootOf = (view: CaView, state: string) => view.certificates.find((entry) => entry.role === 'root' && entry.state === state);

// Processes start here; a loaded machine takes its time for each.
const LONG = { timeout: 180_000 };

describe('the CA in a running operator', LONG, () => {
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
    // Neutral: whoever reads it has a button or an option.
    expect((refused.body as ApiError).error.remedy).toMatch(/^[^-]*activated by force[^-]*$/);
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
    expect(items.map(({ action, via }) => `${via} ${action}`)).toEqual(expect.arrayContaining(['cli rotate-root', 'system rotate-ca']));
  });

  it('rotates the issuer without another bundle', async () => {
    const before = await ca();
    const { ca: after } = (await act('rotate-issuer')).body as CaActionView;
    expect(after.bundle).toEqual(before.bundle);
    expect((await act('activate')).status).toBe(412);
  });

  it('tells Prometheus of every certificate, what was issued and refused, and who lags', async () => {
    await proxy.join('spj_not_a_token_that_anybody_minted');
    const text = await metricsOf(operator);
    expect(text).toMatch(/sallyport_ca_not_after_seconds\{role="root",state="active",parent="selfSigned",in_bundle="true",fingerprint="[0-9A-F:]{95}"\} \d{10}/);
    expect(text).toMatch(/sallyport_ca_not_after_seconds\{role="issuer",state="active"/);
    expect(text).toContain('sallyport_svids_refused_total{reason="not-attested"} 1');
    expect(text).toMatch(/sallyport_svids_issued_total\{attestation="operator"\} \d+/);
    expect(text).toMatch(/sallyport_bundle_ack_lag_seconds\{proxy="node-2"\} \d/);
    // Every rule asks for something that there is; the share of workloads has a value once there are any.
    const rules = readFileSync(RULES, 'utf8');
    const asked = new Set(rules.match(/sallyport_\w+/g)?.filter((name) => name !== 'sallyport_workloads_past_half_rotation_ratio'));
    expect([...asked].filter((name) => !text.includes(`# TYPE ${name} `))).toEqual([]);
  });

  it('is shown and rotated by the command, whose exit code says whether it was done', async () => {
    const folder = scratch();
    const run = (...args: string[]) => sallyport(['ca', ...args], { SALLYPORT_STATE: folder, SALLYPORT_SERVER: operator.apiUrl, SALLYPORT_USERNAME: 'admin', SALLYPORT_PASSWORD: operator.password });
    const status = await run('status', '-o', 'json');
    expect([status.code, (JSON.parse(status.stdout) as CaView).trustDomain]).toEqual([0, 'shop.test']);
    const table = await run('status');
    expect(table.stdout).toMatch(/ROLE +STATE +SUBJECT[\s\S]*root +active +shop\.test root/);
    expect(table.stderr).toMatch(/bundle \d+ with \d roots; parent selfSigned[\s\S]*proxy node-2 has/);
    const refused = await run('activate');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('sallyport ca rotate-root')]);
    const rotated = await run('rotate-root');
    expect([rotated.code, rotated.stderr]).toEqual([0, expect.stringMatching(/publish root shop\.test root \w{8}/)]);
    expect(rotated.stdout).toMatch(/root +published .*activate after .*node-2/);
    const lagging = await run('activate');
    expect([lagging.code, lagging.stderr]).toEqual([1, expect.stringMatching(/not acknowledged by .*node-2[\s\S]*activated with --force/)]);
    const forced = await run('activate', '--force');
    expect([forced.code, forced.stderr]).toEqual([0, expect.stringMatching(/cannot verify the others now: .*node-2/)]);
    rmSync(folder, { recursive: true });
  });

  it('says in the Mesh’s conditions that a parent is refused, and keeps the present CA', async () => {
    const ca1 = await ca();
    const spec = { trustDomain: 'shop.test', ca: { file: { certificateFile: '/nowhere/tls.crt', keyFile: '/nowhere/tls.key' } } };
    await operator.call('POST', '/apply', { manifest: JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'Mesh', metadata: { name: 'default' }, spec }) });
    const view = await until(ca, (value) => value.parent.reason === 'ParentRefused');
    expect(view.parent).toMatchObject({ wanted: 'file', status: 'False', message: expect.stringContaining('/nowhere/tls.key cannot be read (ENOENT)') as string });
    expect(rootOf(view, 'active')?.id).toBe(rootOf(ca1, 'active')?.id);
    const mesh = await until(async () => (await operator.call('GET', '/resources/Mesh/default')).body as Mesh, (value) => value.status?.conditions?.some(({ reason }) => reason === 'ParentRefused') ?? false);
    expect(mesh.status?.conditions?.map(({ type, status }) => `${type} ${status}`)).toEqual(['Accepted True', 'CertificateAuthority False']);
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

describe('an operator whose root has expired', LONG, () => {
  it('runs, says what is wrong, refuses to issue, and works again after the offline repair', async () => {
    const expired = await startOperator({ prepare: expire });
    const view = (await expired.call('GET', '/ca')).body as CaView;
    expect(view.certificates.find(({ role }) => role === 'root')?.lifetimeUsed).toBeGreaterThan(1);
    // The rule SallyportCaExpired fires.
    expect(readFileSync(RULES, 'utf8')).toContain('expr: sallyport_ca_not_after_seconds{state="active"} < time()');
    const ends = [...(await metricsOf(expired)).matchAll(/^sallyport_ca_not_after_seconds\{role="(\w+)",state="active".*\} (\d+)$/gm)].map(([, role, end]) => `${role} ${Number(end) < Date.now() / 1000 ? 'expired' : 'valid'}`);
    expect(ends.sort()).toEqual(['issuer expired', 'root expired']);
    const late = new WireProxy('node-9', expired);
    await expect(late.enrol()).rejects.toThrow('self-signed certificate');
    const folder = scratch();
    await expired.stopped(async () => {
      const { code } = await sallyport(['ca', 'repair', '--offline', '--state-dir', expired.stateDir, '--trust-domain', 'shop.test'], { SALLYPORT_STATE: folder });
      expect(code).toBe(0);
    });
    await late.enrol();
    expect(late.svid?.spiffeId).toBe('spiffe://shop.test/sallyport/proxy/node-9');
    late.close();
    await expired.close();
  });

  /** Leaves a CA in the state directory that was made long ago. */
  async function expire(directory: string): Promise<void> {
    const old = new TestCa(directory);
    old.now = Date.now() - 24 * 3_600_000;
    await old.tick();
  }
});
