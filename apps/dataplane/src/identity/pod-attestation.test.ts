import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { TRUST_DOMAIN } from '../../test/certificates.ts';
import { FakeOperator } from '../../test/fake-operator.ts';
import { TestMesh, until } from '../../test/mesh.ts';
import { Proxy } from '../proxy.ts';

const NAME = 'web-7d4b9c.shop';
let mesh: TestMesh;
let proxy: Proxy | null;
let text: string;

beforeEach(async () => {
  mesh = await TestMesh.start();
  proxy = null;
  text = '';
});
afterEach(async () => {
  await proxy?.stop();
  await mesh.close();
});

const file = () => join(mesh.directory, 'token');
/** As long as the API server's are. */
const newToken = () => `eyJhbGciOi.${randomBytes(600).toString('base64url')}`;
/** As the kubelet does: the file is a link to one in a directory that is replaced. */
function project(token: string): void {
  const at = join(mesh.directory, `token-${randomBytes(4).toString('hex')}`);
  writeFileSync(at, token);
  rmSync(file(), { force: true });
  symlinkSync(at, file());
}
function grant(token: string, name = NAME): string {
  mesh.operator.podTokens?.set(token, name);
  return token;
}

async function start(): Promise<Proxy> {
  const config = { ...mesh.config(NAME), role: 'sidecar', joinTokenFile: null, tokenFile: file() } as const;
  const log = pino({ level: 'trace' }, { write: (line: string) => void (text += line) });
  proxy = new Proxy(config, log);
  await proxy.start();
  return proxy;
}
const installed = (times = 1) => until(`SVID ${times}`, () => text.split('"SVID installed"').length > times);
const said = (words: string) => until(`“${words}” in the log`, () => text.includes(words));

describe('a proxy in a pod', () => {
  it('gets its SVID by its projected token, with keys that never leave it, and keeps the token nowhere', async () => {
    const token = grant(newToken());
    project(token);
    const running = await start();
    await installed();
    expect(text).toContain(`"spiffeId":"${proxySpiffeId(TRUST_DOMAIN, NAME)}"`);
    expect(running.unready()).not.toContainEqual(expect.stringContaining('no valid SVID'));
    expect(mesh.operator.attests).toEqual([NAME]);
    expect([...mesh.operator.joins, ...mesh.operator.reattests]).toEqual([]);
    const kept = readdirSync(mesh.config(NAME).stateDir).filter((name) => !name.includes('cache'));
    expect(kept).not.toContain('machine-key.pem');
    expect(kept.map((name) => readFileSync(join(mesh.config(NAME).stateDir, name), 'utf8')).join('')).not.toContain(token);
    expect(text).not.toContain(token);
  });

  it('reads the file anew at each attempt, because the kubelet replaces it', async () => {
    const old = newToken();
    project(old);
    await start();
    await said('operator answered 401 to /v1/attest');
    project(grant(newToken()));
    await installed();
    expect(text).not.toContain(old);
  });

  it('waits for a file that is not there yet, or is empty, or is no token, and says which', async () => {
    await start();
    await said(`SALLYPORT_TOKEN_FILE ${file()} is not there`);
    writeFileSync(file(), '\n');
    await said(`SALLYPORT_TOKEN_FILE ${file()} holds no token`);
    const secret = 'x'.repeat(70_000);
    writeFileSync(file(), secret);
    await said(`SALLYPORT_TOKEN_FILE ${file()} is too large to hold a token`);
    writeFileSync(file(), `${grant(newToken())}\n`);
    await installed();
    expect(text).not.toContain('xxxxxxxx');
  });

  it('proves itself again by the token of that time when its SVID has expired', async () => {
    mesh.operator.lifetime = 2_000;
    // Never renewed while it is good.
    mesh.operator.renewShare = 2;
    project(grant(newToken()));
    await start();
    await installed();
    mesh.operator.podTokens?.clear();
    project(grant(newToken()));
    await installed(2);
    expect(mesh.operator.attests).toEqual([NAME, NAME]);
  });
});

describe('a token that is refused', () => {
  it.each([
    ['because it is not good', 401, () => project(newToken()), 'audience'],
    ['because it is of another pod', 403, () => project(grant(newToken(), 'api-1.pay')), '<pod>.<namespace>'],
    ['by an operator without Kubernetes', 404, () => {
      project(newToken());
      mesh.operator.podTokens = null;
    }, 'SALLYPORT_JOIN_TOKEN_FILE'],
  ] as const)('%s: says what to do', async (_, status, prepare, remedy) => {
    prepare();
    await start();
    await said(`operator answered ${status} to /v1/attest`);
    expect(text).toContain(remedy);
    expect(text).not.toContain(readFileSync(file(), 'utf8'));
    expect(mesh.operator.issued).toBe(0);
  });

  it('is shown to nobody but the operator', async () => {
    const token = grant(newToken());
    project(token);
    const stranger = new FakeOperator();
    await stranger.start();
    stranger.podTokens?.set(token, NAME);
    const { joinUrl } = mesh.operator;
    mesh.operator.joinUrl = stranger.joinUrl;
    await start();
    await said('cannot connect to the operator');
    expect(stranger.attests).toEqual([]);
    mesh.operator.joinUrl = joinUrl;
    await stranger.stop();
  });
});
