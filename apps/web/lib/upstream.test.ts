import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apiError } from '@sallyport/shared/api';
import { afterEach, describe, expect, it } from 'vitest';
import { forward } from './upstream.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A real HTTP server in the operator's place. */
async function anOperator(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => answer(request, response, Buffer.concat(parts).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failureOf(answer: Response) {
  return { status: answer.status, ...apiError.parse(await answer.json()).error };
}

describe('forward', () => {
  it('passes method, query, body, cookie and token on, and status and cookies back', async () => {
    const base = await anOperator((request, response, body) => {
      response.writeHead(201, { 'content-type': 'application/json', 'set-cookie': ['a=1; HttpOnly', 'b=2'], 'x-internal': 'no' });
      response.end(JSON.stringify({ method: request.method, url: request.url, cookie: request.headers.cookie, csrf: request.headers['x-csrf-token'], host: request.headers['x-other'] ?? null, body }));
    });
    const answer = await forward(
      new Request('http://console/api/v1/apply?x=1', { method: 'POST', body: '{"a":1}', headers: { cookie: 's=1', 'x-csrf-token': 't', 'x-other': 'o', 'content-type': 'application/json' } }),
      base,
    );
    expect(answer.status).toBe(201);
    expect(answer.headers.getSetCookie()).toEqual(['a=1; HttpOnly', 'b=2']);
    expect(answer.headers.get('x-internal')).toBeNull();
    expect(answer.headers.get('cache-control')).toContain('no-store');
    expect(await answer.json()).toEqual({ method: 'POST', url: '/api/v1/apply?x=1', cookie: 's=1', csrf: 't', host: null, body: '{"a":1}' });
  });

  it('streams events as they come', async () => {
    const base = await anOperator((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"topic":"signals"}\n\n');
    });
    const leave = new AbortController();
    const answer = await forward(new Request('http://console/api/v1/events', { signal: leave.signal }), base);
    const first = await answer.body?.getReader().read();
    expect(new TextDecoder().decode(first?.value)).toBe('data: {"topic":"signals"}\n\n');
    leave.abort();
  });

  it('passes no other path on', async () => {
    const base = await anOperator((_request, response) => response.end('reached'));
    for (const path of ['/api/v2/x', '/api/v1/../../metrics', '/api/other']) {
      expect(await failureOf(await forward(new Request(`http://console${path}`), base))).toMatchObject({ status: 404, code: 'not-found' });
    }
  });

  it('refuses a body above 2 MiB, announced or not, before the operator sees it', async () => {
    let reached = 0;
    const base = await anOperator((_request, response) => {
      reached += 1;
      response.end();
    });
    const body = new Uint8Array(2 * 1024 * 1024 + 1);
    const stream = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(512 * 1024));
      },
    });
    const announced = new Request('http://console/api/v1/apply', { method: 'POST', body, headers: { 'content-length': String(body.byteLength) } });
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body: stream, duplex: 'half' };
    const streamed = new Request('http://console/api/v1/apply', init);
    for (const request of [announced, streamed]) expect(await failureOf(await forward(request, base))).toMatchObject({ status: 413, code: 'too-large' });
    expect(reached).toBe(0);
  });

  it('refuses a write from another site and lets programs write', async () => {
    const base = await anOperator((_request, response) => response.end('{}'));
    const write = (headers: Record<string, string>) => forward(new Request('http://console/api/v1/apply', { method: 'POST', body: '{}', headers }), base);
    expect((await write({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await write({ 'sec-fetch-site': 'same-site' })).status).toBe(403);
    expect((await write({ 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect((await write({})).status).toBe(200);
  });

  it('says that the operator cannot be reached', async () => {
    const base = await anOperator((_request, response) => response.end());
    for (const close of closers.splice(0)) await close();
    expect(await failureOf(await forward(new Request('http://console/api/v1/overview'), base))).toMatchObject({ status: 502, code: 'unavailable', remedy: expect.stringContaining('SALLYPORT_API_URL') });
  });
});
