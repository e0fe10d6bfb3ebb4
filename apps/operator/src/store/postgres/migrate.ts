import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { SchemaEngine } from '@prisma/schema-engine-wasm';
import { Pool } from 'pg';

const MIGRATIONS = new URL('../../../../../prisma/migrations', import.meta.url).pathname;

async function readMigrations(): Promise<Parameters<SchemaEngine['applyMigrations']>[0]['migrationsList']> {
  const entries = await readdir(MIGRATIONS, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrationDirectories = await Promise.all(
    names.sort().map(async (path) => {
      const value = await readFile(join(MIGRATIONS, path, 'migration.sql'), 'utf8');
      return { path, migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value } } };
    }),
  );
  const lockfile = { path: 'migration_lock.toml', content: await readFile(join(MIGRATIONS, 'migration_lock.toml'), 'utf8') };
  return { baseDir: MIGRATIONS, lockfile, shadowDbInitScript: '', migrationDirectories };
}

/**
 * Brings a database to the present schema as `prisma migrate deploy` does, with Prisma's own engine as WebAssembly
 * (its native one must be downloaded). Migrations that are applied already are left alone.
 *
 * @returns names of the migrations that were applied now
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  // A pool of our own, because the engine leaves its connection open and with it the lock that it takes to migrate.
  const pool = new Pool({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
  const engine = await SchemaEngine.new({ datamodels: undefined }, () => undefined, adapter);
  try {
    const filters = { externalTables: [], externalEnums: [] };
    const result = await engine.applyMigrations({ migrationsList: await readMigrations(), filters });
    return result.appliedMigrationNames;
  } finally {
    engine.free();
    await pool.end();
  }
}
