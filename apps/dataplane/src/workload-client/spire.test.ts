import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeSpiffeBundle } from '@sallyport/shared/pki';
import { spirePrograms } from '../../../../tools/spire/programs.ts';
import { Spire } from '../../../../tools/spire/spire.ts';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { call, until } from '../../test/mesh.ts';
import { SourcedPair } from './pair.fixture.ts';

const programs = spirePrograms();
const WEB = workloadUri('shop', 'web');
const API = workloadUri('pay', 'api');
/** SPIRE renews at half of this. The other half is what the agent may be away for on a slow machine. */
const TTL = ['-x509SVIDTTL', '60'];
const LONG = { timeout: 240_000 };

describe.skipIf('missing' in programs)('two proxies with SVIDs of a real SPIRE agent', LONG, () => {
  let spire: Spire;
  let pair: SourcedPair;
  const entries: Record<string, string> = {};

  beforeAll(async () => {
    if ('missing' in programs) return;
    spire = await Spire.start(programs, TRUST_DOMAIN);
    await spire.startAgent();
    for (const id of [WEB, API]) entries[id] = await spire.register(id, ...TTL);
  }, 120_000);
  afterAll(() => spire.stop());
  beforeEach(async () => {
    pair = await SourcedPair.start();
    await pair.configure(spire.socket, spire.socket);
  }, 120_000);
  afterEach(() => pair.close());

  it('call each other by mutual TLS, each under the identity of its workload', async () => {
    expect(await pair.get('/hello')).toMatchObject({ status: 200, body: expect.stringContaining('/hello') as string });
    expect(await pair.callers()).toEqual([WEB]);
    expect(await pair.knock(pair.mesh.operator.ca.leaf(WEB))).toMatch(/certificate chain/);
  });

  it('follow its rotation under load; and while the agent is killed and started again, no call is lost', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const statuses: number[] = [];
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) statuses.push((await call({ socketPath: pair.mesh.socketPath('out'), headers: { host: 'api.pay' }, agent })).status);
    })();
    await pair.installedAtLeast(2);
    await spire.killAgent();
    await until('the loss', async () => (await pair.mesh.metric('a', 'sallyport_proxy_workload_api_up')) === 0);
    expect([(await pair.get()).status, pair.unready()]).toEqual([200, []]);
    const before = pair.installed(WEB);
    await spire.startAgent();
    await pair.installedAtLeast(before + 1);
    stop.abort();
    await load;
    agent.destroy();
    expect([new Set(statuses), await pair.mesh.metric('a', 'sallyport_proxy_workload_api_up')]).toEqual([new Set([200]), 1]);
    console.info(`SPIRE: ${statuses.length} calls over ${pair.installed(WEB)} SVIDs of the caller, none failed`);
  });

  it('believe a federated trust domain for as long as SPIRE federates, for its own names alone', async () => {
    const partner = new TestCa('partner');
    const guest = workloadUri('x', 'guest', 'partner.test');
    const file = join(spire.directory, 'partner.json');
    writeFileSync(file, writeSpiffeBundle({ roots: [partner.root], jwtKeys: [], sequence: 1, refreshHint: 300 }));
    await spire.server('bundle', 'set', '-id', 'spiffe://partner.test', '-format', 'spiffe', '-path', file);
    expect(await pair.knock(partner.leaf(guest))).toMatch(/certificate chain/);
    const update = (...more: string[]) => spire.server('entry', 'update', '-entryID', entries[API] ?? '', '-parentID', `spiffe://${TRUST_DOMAIN}/node`, '-spiffeID', API, '-selector', `unix:uid:${process.getuid?.() ?? 0}`, ...TTL, ...more);
    await update('-federatesWith', 'spiffe://partner.test');
    const taken = () => pair.knock(partner.leaf(guest));
    await until('the guest', async () => (await taken()) === 'HTTP/1.1 200');
    expect(await pair.knock(partner.leaf(WEB))).toMatch(/may not vouch for this name/);
    await update();
    await until('the end of it', async () => (await taken()).startsWith('certificate chain'));
    expect((await pair.get()).status).toBe(200);
  });

  it('follow SPIRE to another root: prepared, activated, the old one tainted and revoked', async () => {
    const authority = async (order: string, ...more: string[]) => (JSON.parse(await spire.server('localauthority', 'x509', order, '-output', 'json', ...more)) as Record<string, { authority_id: string }>);
    const old = (await authority('show'))['active']?.authority_id ?? '';
    const roots = () => pair.roots('b');
    expect(roots()).toBe(1);
    const next = (await authority('prepare'))['prepared_authority']?.authority_id ?? '';
    await until('both roots', () => roots() === 2);
    await authority('activate', '-authorityID', next);
    const before = pair.installed(API);
    await authority('taint', '-authorityID', old);
    await until('SVIDs of the next root', () => pair.installed(API) > before && pair.installed(WEB) > before, 60_000);
    expect((await pair.get()).status).toBe(200);
    await authority('revoke', '-authorityID', old);
    await until('the end of the old one', () => roots() === 1);
    expect((await pair.get()).status).toBe(200);
  });

  it('give an identity up when its entry is deleted, and fail closed', async () => {
    await spire.server('entry', 'delete', '-entryID', entries[WEB] ?? '');
    await until('the end of it', () => pair.unready().some((reason) => reason.includes(`no valid SVID for ${WEB}: Workload API ${spire.socket} has no SVID of that name for this proxy; register it there`)));
    entries[WEB] = await spire.register(WEB, ...TTL);
    await until('it to be back', () => pair.unready().length === 0);
    expect((await pair.get()).status).toBe(200);
  });
});
