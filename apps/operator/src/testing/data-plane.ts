import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestOperator } from './operator.ts';

/** Starts a real proxy process `node-1` with its state below `directory`. One that was there before needs no new token. */
export async function startDataPlane(operator: TestOperator, directory: string, settings: Record<string, string> = {}): Promise<ChildProcess> {
  const { token } = (await operator.call('POST', '/proxies/tokens', { proxy: 'node-1', role: 'node' })).body as { token: string };
  writeFileSync(join(directory, 'token'), token);
  const state = join(directory, 'state');
  mkdirSync(state, { mode: 0o700, recursive: true });
  const env = {
    PATH: process.env['PATH'] ?? '', SALLYPORT_PROXY: 'node-1', SALLYPORT_ROLE: 'node', SALLYPORT_TRUST_DOMAIN: 'shop.test',
    SALLYPORT_JOIN_URL: operator.joinUrl, SALLYPORT_STREAM_URL: operator.streamUrl, SALLYPORT_JOIN_TOKEN_FILE: join(directory, 'token'),
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(operator.stateDir, 'bundle.pem'), SALLYPORT_STATE_DIR: state, SALLYPORT_LOG_LEVEL: 'silent', ...settings,
  };
  return spawn(process.execPath, [new URL('../../../dataplane/src/main.ts', import.meta.url).pathname], { env, stdio: 'ignore' });
}
