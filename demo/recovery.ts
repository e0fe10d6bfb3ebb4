import { setTimeout as sleep } from 'node:timers/promises';
import { isUp, OperatorApi } from './supervisor/operator-api.ts';
import { type DemoRecord, readRecord } from './supervisor/state.ts';

export interface Recovery {
  readonly process: string;
  readonly ok: boolean;
  readonly detail: string;
}

const LIMIT_MS = 60_000;

/**
 * Kills each process of a running demo in turn, as `kill -9` does, and waits until the whole is as before: a new
 * process in its place, console and API answering, and from every proxy a report that is newer than the kill.
 */
export async function recoverEach(dir: string): Promise<Recovery[]> {
  const record = readRecord(dir);
  if (record === null) return [];
  // Signed in once: signing in is rate-limited.
  const api = new OperatorApi(record.apiUrl, { username: record.username, password: record.password });
  const results: Recovery[] = [];
  for (const name of Object.keys(record.processes)) results.push(await recover(dir, name, api));
  return results;
}

async function recover(dir: string, name: string, api: OperatorApi): Promise<Recovery> {
  const pid = readRecord(dir)?.processes[name];
  if (pid === null || pid === undefined) return { process: name, ok: false, detail: 'did not run before it was to be killed' };
  const killedAt = Date.now();
  process.kill(pid, 'SIGKILL');
  let missing = 'nothing was looked at';
  while (Date.now() - killedAt < LIMIT_MS) {
    await sleep(250);
    missing = await whatIsMissing(dir, name, pid, killedAt, api);
    if (missing === '') return { process: name, ok: true, detail: `process ${pid} was killed; all was well again after ${Math.round((Date.now() - killedAt) / 1000)} s` };
  }
  return { process: name, ok: false, detail: `${LIMIT_MS / 1000} s after process ${pid} was killed: ${missing}` };
}

async function whatIsMissing(dir: string, name: string, killed: number, since: number, api: OperatorApi): Promise<string> {
  const record = readRecord(dir);
  const now = record?.processes[name];
  if (!record || !now || now === killed) return 'no new process took its place';
  if (!(await isUp(`${record.consoleUrl}/signin`))) return 'the console does not answer';
  return await missingTelemetry(record, since, api).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
}

async function missingTelemetry(record: DemoRecord, since: number, api: OperatorApi): Promise<string> {
  if (!(await api.isReady())) return 'the operator is not ready';
  const { items } = await api.proxies();
  for (const { name } of record.proxies) {
    const proxy = items.find((item) => item.name === name);
    if (!proxy?.live || proxy.lastReport === null || Date.parse(proxy.lastReport) <= since) return `no report of ${name} since the kill`;
    if (!proxy.connected) return `${name} is not connected to the operator`;
  }
  return '';
}
