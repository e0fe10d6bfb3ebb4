import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';
import { type Database, openDatabase } from '../store/postgres/client.ts';
import { migrate } from '../store/postgres/migrate.ts';
import './provided.ts';

/** A database of its own on the test run's PostgreSQL, with all migrations applied. */
export interface TestDatabase {
  readonly url: string;
  readonly database: Database;
  close(): Promise<void>;
}

/** Creates an empty database. @returns its address */
export async function createTestDatabase(): Promise<string> {
  const server = inject('postgresUrl');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = new Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

/** Creates a fresh database with all migrations for one test file. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const url = await createTestDatabase();
  await migrate(url);
  const database = openDatabase(url);
  return { url, database, close: () => database.$disconnect() };
}
