import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiError, tokenView } from '@sallyport/shared/api';
import { z } from 'zod';
import { CliFailure, EXIT } from './failure.ts';
import type { Settings } from './settings.ts';

const MAX_ANSWER = 64 * 1024 * 1024;
const MAX_BUNDLE = 1024 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
const BUNDLE_TIMEOUT_MS = 10 * 60_000;

const tokenFile = z.object({ server: z.string(), username: z.string(), token: z.string() });

interface Ask {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly most?: number;
  readonly timeoutMs?: number;
}

/** A signed-in conversation with the API. The token is kept in a file that only its owner may read and renewed on 401. */
export class ApiClient {
  readonly #settings: Settings;
  readonly #tokenFile: string;
  #token: string | null;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#tokenFile = join(settings.stateDir, 'cli-token.json');
    this.#token = readToken(this.#tokenFile, settings);
  }

  /** @param path below `/api/v1`, with its query @throws CliFailure for a refusal, naming the remedy */
  async get<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> {
    return parseAnswer(await this.#signedIn({ method: 'GET', path }), schema, path);
  }

  async post<S extends z.ZodType>(path: string, body: unknown, schema: S): Promise<z.infer<S>> {
    return parseAnswer(await this.#signedIn({ method: 'POST', path, body }), schema, path);
  }

  async delete(path: string): Promise<void> {
    await this.#signedIn({ method: 'DELETE', path });
  }

  /** Posts and takes the answer as bytes. */
  async download(path: string, body: unknown): Promise<{ bytes: Uint8Array; sha256: string | null }> {
    const answer = await this.#signedIn({ method: 'POST', path, body, most: MAX_BUNDLE, timeoutMs: BUNDLE_TIMEOUT_MS });
    return { bytes: answer.bytes, sha256: answer.response.headers.get('x-sallyport-sha256') };
  }

  async #signedIn(ask: Ask): Promise<Answer> {
    const fresh = this.#token === null;
    this.#token ??= await this.#signIn();
    let answer = await send(this.#settings.server, ask, this.#token);
    if (answer.response.status === 401 && !fresh) {
      this.#token = await this.#signIn();
      answer = await send(this.#settings.server, ask, this.#token);
    }
    if (!answer.response.ok) throw refusal(this.#settings.server, answer);
    return answer;
  }

  async #signIn(): Promise<string> {
    const { server, username, password } = this.#settings;
    const answer = await send(server, { method: 'POST', path: '/session?token=true', body: { username, password } }, null);
    if (!answer.response.ok) {
      const reason = readError(answer)?.message ?? `status ${answer.response.status}`;
      throw new CliFailure(EXIT.unreachable, `${server} refused the sign-in of ${username}: ${reason}`, 'check SALLYPORT_USERNAME and SALLYPORT_PASSWORD, or restart the demo');
    }
    const { token } = parseAnswer(answer, tokenView, '/session');
    writeToken(this.#tokenFile, { server, username, token });
    return token;
  }
}

interface Answer {
  readonly response: Response;
  readonly bytes: Uint8Array;
}

async function send(server: string, ask: Ask, token: string | null): Promise<Answer> {
  try {
    const response = await fetch(`${server}/api/v1${ask.path}`, {
      method: ask.method,
      // A redirect could carry the token to somewhere else.
      redirect: 'error',
      signal: AbortSignal.timeout(ask.timeoutMs ?? TIMEOUT_MS),
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
    });
    return { response, bytes: await readBounded(response, ask.most ?? MAX_ANSWER) };
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw new CliFailure(EXIT.unreachable, `cannot reach ${server}: ${reasonOf(error)}`, 'is it running? See the address with: sallyport demo');
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  if (error.name === 'TimeoutError') return 'no answer in time';
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

async function readBounded(response: Response, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > most) throw new CliFailure(EXIT.refused, `the answer is larger than ${most} bytes`, 'ask for a shorter window or one namespace');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseAnswer<S extends z.ZodType>(answer: Answer, schema: S, path: string): z.infer<S> {
  const result = schema.safeParse(parseJson(answer.bytes));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new CliFailure(
    EXIT.unreachable,
    `the answer to ${path} is not of this version's form: ${issue?.path.join('.') || 'body'}: ${issue?.message ?? ''}`,
    'is it Sallyport, and of the same version as this command?',
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

function readError(answer: Answer) {
  const result = apiError.safeParse(parseJson(answer.bytes));
  return result.success ? result.data.error : null;
}

const CODES: Readonly<Record<string, number>> = {
  invalid: EXIT.usage,
  'too-large': EXIT.usage,
  unauthenticated: EXIT.unreachable,
  unavailable: EXIT.unreachable,
  'rate-limited': EXIT.unreachable,
};

function refusal(server: string, answer: Answer): CliFailure {
  const error = readError(answer);
  if (!error) return new CliFailure(EXIT.unreachable, `${server} answered with status ${answer.response.status}`, 'is it Sallyport?');
  const [, ...more] = (error.details ?? []).map((item) => `  ${[item.resource, item.field, item.message].filter((part) => part !== '').join(': ')}`);
  return new CliFailure(CODES[error.code] ?? EXIT.refused, [error.message, ...more].join('\n'), error.remedy ?? null);
}

function readToken(file: string, settings: Settings): string | null {
  try {
    const known = tokenFile.parse(JSON.parse(readFileSync(file, 'utf8')));
    return known.server === settings.server && known.username === settings.username ? known.token : null;
  } catch {
    return null;
  }
}

/** Written aside and renamed, so that two commands at once never leave half a file. */
function writeToken(file: string, content: z.infer<typeof tokenFile>): void {
  try {
    mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
    const aside = `${file}.${process.pid}`;
    writeFileSync(aside, `${JSON.stringify(content)}\n`, { mode: 0o600 });
    renameSync(aside, file);
  } catch {
    // A clone that cannot be written to: the next command signs in again.
  }
}
