import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goProgram, isSkipped } from '../../../test/programs.ts';
import { serve } from './h2spec-server.fixture.ts';

const h2spec = await goProgram('h2spec');
const path = 'path' in h2spec ? h2spec.path : '';

describe.skipIf(isSkipped('conformance of HTTP/2', h2spec))('h2spec, a program that we did not write', () => {
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => void server.close());

  it('passes in whole, strict cases too', async () => {
    const { port } = server.address() as AddressInfo;
    const child = spawn(path, ['--strict', '--timeout', '2', '--host', '127.0.0.1', '--port', String(port)]);
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect(output.slice(-4000)).toMatch(/\n146 tests, 146 passed, 0 skipped, 0 failed\n$/);
  });
});
