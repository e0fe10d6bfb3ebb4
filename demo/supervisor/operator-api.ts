import type { GraphView, ProxiesView } from '@sallyport/shared/api';
import type { Resource } from '@sallyport/shared/resources';

const TIMEOUT_MS = 20_000;

/** An answer of the operator that is not a success. */
class ApiAnswerError extends Error {
  override readonly name = 'ApiAnswerError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What the supervisor asks the operator, signed in as the demo's first user. */
export class OperatorApi {
  readonly #base: string;
  readonly #account: { username: string; password: string };
  #token: string | null = null;

  constructor(base: string, account: { username: string; password: string }) {
    this.#base = base;
    this.#account = account;
  }

  async isReady(): Promise<boolean> {
    return await isUp(`${this.#base}/readyz`);
  }

  /** True when this operator has a resource, by its path such as `Mesh/default`. */
  async has(path: string): Promise<boolean> {
    try {
      await this.#call('GET', `/resources/${path}`);
      return true;
    } catch (error) {
      if (error instanceof ApiAnswerError && error.status === 404) return false;
      throw error;
    }
  }

  /** Applies all resources or none; takes over fields that somebody else changed. */
  async apply(resources: readonly Resource[]): Promise<void> {
    // JSON is YAML: one document each.
    const manifest = resources.map((resource) => JSON.stringify(resource)).join('\n---\n');
    await this.#call('POST', '/apply', { manifest, force: true, manager: 'sallyport-demo' });
  }

  /** A single-use token with which a proxy of this name and role may join. */
  async joinToken(proxy: string, role: string): Promise<string> {
    const answer = (await this.#call('POST', '/proxies/tokens', { proxy, role })) as { token: string };
    return answer.token;
  }

  async proxies(): Promise<ProxiesView> {
    return (await this.#call('GET', '/proxies')) as ProxiesView;
  }

  async graph(window: string): Promise<GraphView> {
    return (await this.#call('GET', `/graph?window=${window}`)) as GraphView;
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const first = await this.#send(method, path, body);
    if (first.status !== 401) return await this.#read(first, method, path);
    this.#token = null;
    return await this.#read(await this.#send(method, path, body), method, path);
  }

  async #send(method: string, path: string, body: unknown): Promise<Response> {
    this.#token ??= await this.#signIn();
    return await this.#fetch(path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #signIn(): Promise<string> {
    const answer = await this.#fetch('/session?token=true', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(this.#account),
    });
    return ((await this.#read(answer, 'POST', '/session')) as { token: string }).token;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    return await fetch(`${this.#base}/api/v1${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  }

  async #read(answer: Response, method: string, path: string): Promise<unknown> {
    const text = await answer.text();
    if (answer.ok) return text === '' ? null : JSON.parse(text);
    throw new ApiAnswerError(answer.status, `the operator answered ${answer.status} to ${method} ${path}: ${text.slice(0, 2000)}`);
  }
}

/** True when a plain HTTP address answers with a success or a redirect. */
export async function isUp(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(3_000) });
    await answer.arrayBuffer();
    return answer.status < 400;
  } catch {
    return false;
  }
}
