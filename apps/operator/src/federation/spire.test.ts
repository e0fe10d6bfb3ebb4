import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate, readSpiffeBundle, type SpiffeBundle, writeSpiffeBundle } from '@sallyport/shared/pki';
import { freePort } from '../../../../tools/free-port.ts';
import { until } from '../testing/until.ts';
import { startBundleEndpoint } from './endpoint.ts';
import { fetchBundle } from './fetch-bundle.ts';

// Building SPIRE takes the better part of an hour on two cores, so its place is given: go build github.com/spiffe/spire/cmd/spire-server.
const server = process.env['SALLYPORT_SPIRE_SERVER'] ?? '';
const missing = !existsSync(server);
if (missing) console.warn('SKIPPED: federation with SPIRE was NOT checked. Set SALLYPORT_SPIRE_SERVER to a spire-server');

const directory = missing ? '' : mkdtempSync(join(tmpdir(), 'spire-'));
const run = promisify(execFile);
const spire = async (...args: string[]) => (await run(server, [...args, '-socketPath', join(directory, 'api.sock')])).stdout;
const bundleOf = async (...args: string[]) => readSpiffeBundle(await spire('bundle', ...args, '-format', 'spiffe'));

describe.skipIf(missing)('SPIRE, which we did not write', () => {
  let child: ChildProcess;
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    const file = join(directory, 'server.conf');
    writeFileSync(file, `server { bind_address = "127.0.0.1" bind_port = "${await freePort()}" socket_path = "${directory}/api.sock" trust_domain = "spire.test" data_dir = "${directory}"
      federation { bundle_endpoint { address = "127.0.0.1" port = ${port} profile "https_spiffe" {} } } }
    plugins { DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${directory}/db" } } NodeAttestor "join_token" { plugin_data {} } KeyManager "memory" { plugin_data {} } }`);
    child = spawn(server, ['run', '-config', file], { stdio: 'ignore' });
    await until(() => bundleOf('show').then(() => true, () => false), Boolean);
  });
  afterAll(async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(directory, { recursive: true, force: true });
  });

  it('gives us its bundle by https_spiffe, and to nobody who asks for another endpoint', async () => {
    const known = await bundleOf('show');
    const spec = (endpointSPIFFEID: string) => ({ trustDomain: 'spire.test', bundleEndpointURL: `https://127.0.0.1:${port}/`, bundleEndpointProfile: { type: 'https_spiffe' as const, endpointSPIFFEID } });
    const options = { allowedHosts: ['127.0.0.1'], signal: AbortSignal.timeout(20_000) };
    const { bundle } = await fetchBundle(spec('spiffe://spire.test/spire/server'), known, options);
    expect(bundle).toMatchObject({ roots: known.roots, jwtKeys: known.jwtKeys });
    await expect(fetchBundle(spec('spiffe://spire.test/other'), known, options)).rejects.toThrow('the endpoint is spiffe://spire.test/spire/server');
  });

  it('takes ours, and follows when it changes', async () => {
    const keys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [first, second, own] = [{ subject: 'first', ...keys() }, { subject: 'second', ...keys() }, keys()];
    const times = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000, serial: randomBytes(15) };
    const root = (of: typeof first) => issueCertificate({ ...times, subject: of.subject, uri: 'spiffe://shop.test', kind: { ca: true, pathLength: null } }, of.publicKey, of);
    const cert = issueCertificate({ ...times, subject: '', uri: 'spiffe://shop.test/sallyport/operator', kind: { ca: false } }, own.publicKey, first);
    const identity = { key: String(own.privateKey.export({ type: 'pkcs8', format: 'pem' })), cert, ca: [] };
    let bundle: SpiffeBundle = { roots: [root(first)], jwtKeys: [], sequence: 1, refreshHint: 300 };
    const endpoint = await startBundleEndpoint({ host: '127.0.0.1', port: 0, web: null, identity, bundle: () => bundle, log: pino({ level: 'silent' }) });
    const file = join(directory, 'shop.json');
    writeFileSync(file, writeSpiffeBundle(bundle));
    await spire('federation', 'create', '-trustDomain', 'shop.test', '-bundleEndpointURL', `https://127.0.0.1:${endpoint.port}/`, '-bundleEndpointProfile', 'https_spiffe',
      '-endpointSpiffeID', 'spiffe://shop.test/sallyport/operator', '-trustDomainBundlePath', file, '-trustDomainBundleFormat', 'spiffe');
    bundle = { ...bundle, roots: [...bundle.roots, root(second)], sequence: 2 };
    await spire('federation', 'refresh', '-id', 'shop.test');
    expect((await until(() => bundleOf('list', '-id', 'spiffe://shop.test'), ({ roots }) => roots.length === 2)).roots).toHaveLength(2);
    await endpoint.close();
  });
});
