import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ROOT } from './settings.ts';

type Answer = readonly [status: number, body: unknown, headers?: Readonly<Record<string, string>>];
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** A small API for tests of the command line: signs `ann` in with `secret`, then answers what it was told to. */
export class TestApi {
  readonly received: Received[] = [];
  /** By `METHOD /path?query` below `/api/v1`; an array is answered one after the other, the last one for ever. */
  readonly answers = new Map<string, Answer | Answer[]>();
  signIns = 0;
  token = 'token-1';
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await text(request);
    const url = (request.url ?? '').replace('/api/v1', '');
    const received = { method: request.method ?? '', url, authorization: request.headers.authorization, body: raw === '' ? undefined : (JSON.parse(raw) as unknown) };
    const [status, body, headers = {}] = this.#answer(received);
    if (body instanceof Uint8Array) response.writeHead(status, headers).end(body);
    else response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(status === 204 ? '' : JSON.stringify(body));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #answer(received: Received): Answer {
    if (received.url === '/session?token=true') {
      this.signIns += 1;
      const { password } = received.body as { password: string };
      if (password !== 'secret') return [401, failure('unauthenticated', 'name or password is wrong')];
      return [200, { user: { username: 'ann', roles: ['viewer'] }, csrfToken: 'c', expiresAt: '2030-01-01T00:00:00.000Z', token: this.token }];
    }
    this.received.push(received);
    if (received.authorization !== `Bearer ${this.token}`) return [401, failure('unauthenticated', 'not signed in')];
    const key = `${received.method} ${received.url}`;
    const known = this.answers.get(key);
    if (known === undefined) return [404, failure('not-found', `the test has no answer for ${key}`)];
    if (!isList(known)) return known;
    return (known.length > 1 ? known.shift() : known[0]) ?? [500, {}];
  }
}

function isList(answer: Answer | Answer[]): answer is Answer[] {
  return Array.isArray(answer[0]);
}

/** The API's error body. */
export function failure(code: string, message: string, remedy?: string) {
  return { error: { code, message, ...(remedy === undefined ? {} : { remedy }) } };
}

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bin/sallyport` as a person would, with a state folder of its own and nothing else of our environment. */
export async function sallyport(args: readonly string[], env: Readonly<Record<string, string>>, stdin = ''): Promise<Run> {
  const child = spawn(join(ROOT, 'bin/sallyport'), args, { env: { PATH: process.env['PATH'] ?? '', ...env } });
  child.stdin.end(stdin);
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.once('exit', resolve);
      child.once('error', reject);
    }),
  ]);
  return { code, stdout, stderr };
}

/** An empty folder that the caller deletes. */
export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
}

/** A quarter of an hour. */
export const WINDOW = { from: '2026-01-15T11:45:00.000Z', to: '2026-01-15T12:00:00.000Z' };
/** One proxy of two is silent. */
export const COVERAGE = {
  proxiesExpected: 2, proxiesReporting: 1, share: 0.75, since: '2026-01-15T11:45:00.000Z',
  proxies: [
    { name: 'node-a', share: 1, lastReport: WINDOW.to, live: true, gaps: [] },
    { name: 'node-b', share: 0.5, lastReport: '2026-01-15T11:50:00.000Z', live: false, gaps: [WINDOW] },
  ],
};
