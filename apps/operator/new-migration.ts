import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { SchemaEngine } from '@prisma/schema-engine-wasm';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';

/** Writes the SQL from the database at DATABASE_URL, which has all migrations, to schema.prisma. */
const [name] = process.argv.slice(2);
const url = process.env['DATABASE_URL'];
if (!name || !url) {
  process.stderr.write('usage: DATABASE_URL=postgres://… node apps/operator/new-migration.ts NAME\n');
  process.exit(2);
}
const path = 'prisma/schema.prisma';
const content = await readFile(path, 'utf8');
const engine = await SchemaEngine.new({ datamodels: [[path, content]] }, () => undefined, bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: url })));
const result = await engine.diff({
  from: { tag: 'schemaDatasource', files: [{ path, content }], configDir: '.' },
  to: { tag: 'schemaDatamodel', files: [{ path, content }] },
  script: true,
  shadowDatabaseUrl: null,
  exitCode: false,
  filters: { externalTables: [], externalEnums: [] },
});
const folder = `prisma/migrations/${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}_${name}`;
await mkdir(folder);
await writeFile(`${folder}/migration.sql`, result.stdout ?? '');
process.stdout.write(`${folder}/migration.sql\n`);
process.exit(0);
