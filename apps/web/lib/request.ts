import { apiError, type ApiError } from '@sallyport/shared/api';

const TIMEOUT_MS = 25_000;

/** A refusal or failure of the API, in words for people. `status` 0: no answer at all. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly status: number;
  readonly code: ApiError['error']['code'];
  readonly remedy: string;
  readonly details: readonly { resource: string; field: string; message: string }[];
  constructor(status: number, body: ApiError['error']) {
    super(body.message);
    this.status = status;
    this.code = body.code;
    this.remedy = body.remedy ?? '';
    this.details = body.details ?? [];
  }
}

/** What a contract schema must be able to do here: the zod schemas of `@sallyport/shared/api` can. */
export interface AnswerSchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly csrfToken?: string;
  readonly signal?: AbortSignal;
}

/**
 * Asks the API and checks the answer against the contract.
 *
 * @param path below `/api/v1`, with its leading slash and query
 * @throws ApiFailure when refused, unreachable, late, or when the answer breaks the contract
 */
export async function request<T>(path: string, schema: AnswerSchema<T>, options: RequestOptions = {}): Promise<T> {
  const answer = await send(path, options);
  const value: unknown = await answer.json().catch(() => null);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`).join('; ');
  throw new ApiFailure(answer.status, {
    code: 'internal',
    message: `The operator’s answer to ${path.split('?')[0] ?? path} does not fit this console (${where}).`,
    remedy: 'Operator and console are probably of different versions: rebuild and restart both.',
  });
}

/** As {@link request}, for answers without a body that matters. */
export async function requestNothing(path: string, options: RequestOptions): Promise<void> {
  await send(path, options);
}

/** As {@link request}, for a file: the bytes and the file name that the server gave. */
export async function requestFile(path: string, options: RequestOptions): Promise<{ blob: Blob; name: string }> {
  // A bundle over a long range takes longer to write than a view takes to compute.
  const answer = await send(path, options, 180_000);
  const name = /filename="?([A-Za-z0-9._-]{1,120})"?/.exec(answer.headers.get('content-disposition') ?? '')?.[1];
  return { blob: await answer.blob(), name: name ?? 'sallyport-evidence.zip' };
}

async function send(path: string, options: RequestOptions, limit = TIMEOUT_MS): Promise<Response> {
  const timeout = AbortSignal.timeout(limit);
  const headers = new Headers({ accept: 'application/json' });
  if (options.body !== undefined) headers.set('content-type', 'application/json');
  if (options.csrfToken !== undefined) headers.set('x-csrf-token', options.csrfToken);
  const answer = await fetch(`/api/v1${path}`, {
    method: options.method ?? 'GET',
    headers,
    signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  }).catch((error: unknown) => {
    if (options.signal?.aborted) throw error;
    throw new ApiFailure(0, {
      code: 'unavailable',
      message: timeout.aborted ? `No answer within ${limit / 1000} s.` : 'The console cannot be reached.',
      remedy: 'Check that it still runs and that the network is up; the page tries again by itself.',
    });
  });
  if (!answer.ok) throw await readFailure(answer);
  return answer;
}

async function readFailure(answer: Response): Promise<ApiFailure> {
  const parsed = apiError.safeParse(await answer.json().catch(() => null));
  if (parsed.success) return new ApiFailure(answer.status, parsed.data.error);
  return new ApiFailure(answer.status, {
    code: 'internal',
    message: `The request was refused with status ${answer.status} and no explanation.`,
    remedy: 'Look at the logs of console and operator.',
  });
}
