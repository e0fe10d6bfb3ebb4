import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { z } from 'zod';
import type { Credentials } from '../identity/credentials.ts';
import { connectionAge } from '../listener/retirement.ts';
import { connectOperator, postJson } from './operator-session.ts';


/** The one mutual-TLS connection to the operator's stream port, opened when first needed and again after a loss. */
export class OperatorLink {
  readonly #url: URL;
  readonly #trustDomain: string;
  readonly #credentials: Credentials;
  #session: Promise<ClientHttp2Session> | null = null;
  #closed = false;

  constructor(url: URL, trustDomain: string, credentials: Credentials) {
    this.#url = url;
    this.#trustDomain = trustDomain;
    this.#credentials = credentials;
  }

  /** Posts JSON. @throws PushFailure, or Error when the operator cannot be reached */
  async post<S extends z.ZodType>(path: string, body: unknown, schema: S): Promise<z.output<S>> {
    const session = await this.#open();
    return postJson(session, path, JSON.stringify(body), schema);
  }

  /** Starts a request whose answer does not end. @throws Error when the operator cannot be reached */
  async stream(path: string, body: unknown): Promise<ClientHttp2Stream> {
    const session = await this.#open();
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/json' });
    stream.end(JSON.stringify(body));
    return stream;
  }

  /** Breaks the connection; the next call opens a new one. */
  reset(): void {
    const session = this.#session;
    this.#session = null;
    void session?.then(
      (open) => open.destroy(),
      () => undefined,
    );
  }

  /** Breaks the connection for good. */
  close(): void {
    this.#closed = true;
    this.reset();
  }

  #open(): Promise<ClientHttp2Session> {
    if (this.#closed) return Promise.reject(new Error('the link to the operator is closed'));
    if (this.#session) return this.#session;
    const opening = this.#connect();
    this.#session = opening;
    const forget = () => {
      if (this.#session === opening) this.#session = null;
    };
    // After GOAWAY the session takes no new request, though its streams may go on for a while.
    opening.then((session) => session.once('close', forget).once('goaway', forget), forget);
    return opening;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const context = this.#credentials.context();
    const svid = this.#credentials.svid;
    if (!context || !svid) throw new Error('this proxy has no SVID yet');
    const session = await connectOperator(this.#url, context, this.#trustDomain);
    // An established connection is never authenticated again, so its age is bounded: by an hour and by its own SVID.
    const age = Math.min(connectionAge(), Math.max(1000, svid.notAfter - Date.now()));
    const timer = setTimeout(() => session.destroy(), age);
    timer.unref();
    session.once('close', () => clearTimeout(timer));
    return session;
  }
}
