import { Pool } from 'pg';
import { expect, inject, it } from 'vitest';
import '../testing/provided.ts';
import { toApiError } from './errors.ts';

it('says that the database is late when every connection to it is busy', async () => {
  const pool = new Pool({ connectionString: inject('postgresUrl'), max: 1, connectionTimeoutMillis: 3_000 });
  const busy = await pool.connect();
  const error: unknown = await pool.connect().then(() => null, (reason: unknown) => reason);
  expect(toApiError(error).error.code).toBe('unavailable');
  busy.release();
  await pool.end();
});
