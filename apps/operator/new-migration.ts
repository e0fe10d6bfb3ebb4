import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { SchemaEngine } from '@prisma/schema-engine-wasm';

/** Writes the SQL that leads from the committed prisma/schema.prisma to the one in the working tree. */
const [name] = process.argv.slice(2);
const connectionString = process.env['DATABASE_URL'];
if (!name || !/^[a-z0-9_]+$/.test(name) || !connectionString) {
  process.stderr.write('usage: DATABASE_URL=postgres://… node apps/operator/new-migration.ts NAME   (lower-case letters, digits, underscores)\n');
  process.exit(2);
}
const path = 'prisma/schema.prisma';
const committed = execFileSync('git', ['show', `HEAD:${path}`], { encoding: 'utf8' });
const present = await readFile(path, 'utf8');
// The engine asks the database only for its version: both sides of the comparison are text.
const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString }));
const engine = await SchemaEngine.new({ datamodels: [[path, present]] }, () => undefined, adapter);
const { stdout } = await engine.diff({
  from: { tag: 'schemaDatamodel', files: [{ path, content: committed }] },
  to: { tag: 'schemaDatamodel', files: [{ path, content: present }] },
  script: true,
  shadowDatabaseUrl: null,
  exitCode: false,
  filters: { externalTables: [], externalEnums: [] },
});
const folder = `prisma/migrations/${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}_${name}`;
await mkdir(folder);
await writeFile(`${folder}/migration.sql`, stdout ?? '');
process.stdout.write(`${folder}/migration.sql\n`);
// Its pool would keep the process for 10 s.
process.exit(0);
