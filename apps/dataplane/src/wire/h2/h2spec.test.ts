import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serve } from './h2spec-server.fixture.ts';

const INTEROP = join(import.meta.dirname, '../../../../../tools/interop');
/** Builds the program when it is not in Go's cache, which needs Go and, once, its module proxy. */
const built = spawnSync('go', ['tool', 'h2spec', '--version'], { cwd: INTEROP, encoding: 'utf8', timeout: 120_000 });
const missing = built.status === 0 ? null : `h2spec cannot be run: ${built.error?.message ?? built.stderr}`;
if (missing !== null) console.warn(`SKIPPED: conformance of HTTP/2 was NOT checked. ${missing}`);

describe.skipIf(missing !== null)('h2spec, a program that we did not write', () => {
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => void server.close());

  it('passes in whole, strict cases too', async () => {
    const { port } = server.address() as AddressInfo;
    const child = spawn('go', ['tool', 'h2spec', '--strict', '--timeout', '2', '--host', '127.0.0.1', '--port', String(port)], { cwd: INTEROP });
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect(output.slice(-4000)).toMatch(/\n146 tests, 146 passed, 0 skipped, 0 failed\n$/);
  });
});
