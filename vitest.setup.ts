import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import './apps/operator/src/testing/provided.ts';
import { startPostgres } from './tools/postgres.ts';

/**
 * One real PostgreSQL for the whole run; each test file makes a database of its own on it.
 * SALLYPORT_TEST_DATABASE_URL points it at another server, for instance an older version.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const other = process.env['SALLYPORT_TEST_DATABASE_URL'];
  if (other !== undefined) {
    project.provide('postgresUrl', other);
    return async () => undefined;
  }
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  // As root, PostgreSQL runs as another account, which has to get through here.
  await chmod(directory, 0o711);
  const postgres = await startPostgres({ dataDir: join(directory, 'pg'), log: () => undefined });
  project.provide('postgresUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
