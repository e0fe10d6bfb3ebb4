import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate, readSpiffeBundle, type SpiffeBundle, writeSpiffeBundle } from '@sallyport/shared/pki';
import { spirePrograms } from '../../../../tools/spire/programs.ts';
import { Spire } from '../../../../tools/spire/spire.ts';
import { until } from '../testing/until.ts';
import { startBundleEndpoint } from './endpoint.ts';
import { fetchBundle } from './fetch-bundle.ts';

const programs = spirePrograms();
const bundle = async (spire: Spire, ...args: string[]) => readSpiffeBundle(await spire.server('bundle', ...args, '-format', 'spiffe'));

describe.skipIf('missing' in programs)('SPIRE, which we did not write', () => {
  let spire: Spire;
  const bundleOf = (...args: string[]) => bundle(spire, ...args);

  beforeAll(async () => {
    if ('server' in programs) spire = await Spire.start(programs, 'spire.test');
  }, 120_000);
  afterAll(() => spire.stop());

  it('gives us its bundle by https_spiffe, and to nobody who asks for another endpoint', async () => {
    const known = await bundleOf('show');
    const spec = (endpointSPIFFEID: string) => ({ trustDomain: 'spire.test', bundleEndpointURL: `https://127.0.0.1:${spire.bundlePort}/`, bundleEndpointProfile: { type: 'https_spiffe' as const, endpointSPIFFEID } });
    const options = { allowedHosts: ['127.0.0.1'], signal: AbortSignal.timeout(20_000) };
    const fetched = await fetchBundle(spec('spiffe://spire.test/spire/server'), known, options);
    expect(fetched.bundle).toMatchObject({ roots: known.roots, jwtKeys: known.jwtKeys });
    await expect(fetchBundle(spec('spiffe://spire.test/other'), known, options)).rejects.toThrow('the endpoint is spiffe://spire.test/spire/server');
  });

  it('takes ours, and follows when it changes', async () => {
    const keys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [first, second, own] = [{ subject: 'first', ...keys() }, { subject: 'second', ...keys() }, keys()];
    const times = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000, serial: randomBytes(15) };
    const root = (of: typeof first) => issueCertificate({ ...times, subject: of.subject, uri: 'spiffe://shop.test', kind: { ca: true, pathLength: null } }, of.publicKey, of);
    const cert = issueCertificate({ ...times, subject: '', uri: 'spiffe://shop.test/sallyport/operator', kind: { ca: false } }, own.publicKey, first);
    const identity = { key: String(own.privateKey.export({ type: 'pkcs8', format: 'pem' })), cert, ca: [] };
    let ours: SpiffeBundle = { roots: [root(first)], jwtKeys: [], sequence: 1, refreshHint: 300 };
    const endpoint = await startBundleEndpoint({ host: '127.0.0.1', port: 0, web: null, identity, bundle: () => ours, log: pino({ level: 'silent' }) });
    const file = join(spire.directory, 'shop.json');
    writeFileSync(file, writeSpiffeBundle(ours));
    await spire.server('federation', 'create', '-trustDomain', 'shop.test', '-bundleEndpointURL', `https://127.0.0.1:${endpoint.port}/`, '-bundleEndpointProfile', 'https_spiffe',
      '-endpointSpiffeID', 'spiffe://shop.test/sallyport/operator', '-trustDomainBundlePath', file, '-trustDomainBundleFormat', 'spiffe');
    ours = { ...ours, roots: [...ours.roots, root(second)], sequence: 2 };
    await spire.server('federation', 'refresh', '-id', 'shop.test');
    expect((await until(() => bundleOf('list', '-id', 'spiffe://shop.test'), ({ roots }) => roots.length === 2)).roots).toHaveLength(2);
    await endpoint.close();
  });
});
