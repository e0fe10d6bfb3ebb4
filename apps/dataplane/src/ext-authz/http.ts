import http, { type IncomingMessage } from 'node:http';
import { durationMs, type ExtensionProvider } from '@sallyport/shared/resources';
import { flat, type HeaderPair } from '../http/headers.ts';
import { allow, type Answer, type Authorizer, deny, type Question } from './answer.ts';

type Settings = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;

const MAX_BODY = 64 * 1024;
const MAX_SOCKETS = 128;

/** Envoy sends these whatever is configured: what says where the request goes, and who the user is. */
const ALWAYS_SENT = ['authorization', 'x-forwarded-for', 'x-forwarded-proto'];
/** Envoy adds these to a list of headers for the caller, since a denial means little without them. */
const ALWAYS_RETURNED = ['www-authenticate', 'location'];
/** How an HTTP authorizer asks for headers to be taken out of the request (Envoy). */
const TO_REMOVE = 'x-envoy-auth-headers-to-remove';

/** Istio: "exact, prefix and suffix matches are supported", without case, as header names are. */
function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => pattern.toLowerCase()).map((pattern) => {
    if (pattern.endsWith('*')) return (name: string) => name.startsWith(pattern.slice(0, -1));
    return pattern.startsWith('*') ? (name: string) => name.endsWith(pattern.slice(1)) : (name: string) => name === pattern;
  });
  return (name) => tests.some((test) => test(name.toLowerCase()));
}

/**
 * Asks by HTTP as Envoy's `ext_authz` does: the request's own method, path and host, without its body. 200 allows, 5xx
 * is a failure, anything else denies with that answer.
 */
export class HttpAuthorizer implements Authorizer {
  readonly #settings: Settings;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 16, timeout: 60_000 });
  readonly #sent: (name: string) => boolean;
  readonly #toUpstream: (name: string) => boolean;
  readonly #toDownstream: (name: string) => boolean;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#sent = nameMatcher([...ALWAYS_SENT, ...settings.includeRequestHeadersInCheck]);
    this.#toUpstream = nameMatcher(settings.headersToUpstreamOnAllow);
    // Istio: "If not set, all the authorization response headers, except Authority (Host) will be in the response".
    const toDownstream = settings.headersToDownstreamOnDeny;
    this.#toDownstream = toDownstream.length === 0 ? () => true : nameMatcher([...ALWAYS_RETURNED, ...toDownstream]);
  }

  async ask(question: Question): Promise<Answer> {
    const { http: asked } = question;
    // CONNECT asks for a tunnel, which no answer to it could describe.
    if (asked === undefined || asked.method === 'CONNECT') return this.#unavailable('an HTTP authorizer cannot be asked about that');
    const signal = AbortSignal.timeout(durationMs(this.#settings.timeout));
    try {
      return await this.#read(await this.#send(asked, signal));
    } catch (error) {
      return this.#unavailable(signal.aborted ? 'it did not answer in time' : (error as Error).message);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #unavailable(why: string): Answer {
    return { kind: 'unavailable', status: this.#settings.statusOnError, why };
  }

  /** A kept-alive connection may have been closed just now: then once more on a fresh one. */
  async #send(asked: NonNullable<Question['http']>, signal: AbortSignal): Promise<IncomingMessage> {
    const first = await this.#attempt(asked, signal);
    if (first !== 'stale') return first;
    const second = await this.#attempt(asked, signal);
    if (second === 'stale') throw new Error('its connections break');
    return second;
  }

  #attempt({ method, target, host, headers }: NonNullable<Question['http']>, signal: AbortSignal): Promise<IncomingMessage | 'stale'> {
    const { service, port, pathPrefix } = this.#settings;
    const sent: HeaderPair[] = [['host', host], ['content-length', '0'], ...headers.filter(([name]) => this.#sent(name))];
    return new Promise((resolve, reject) => {
      const request = http.request({ agent: this.#agent, host: service.replace(/^\[|\]$/g, ''), port, method, path: `${pathPrefix?.replace(/\/$/, '') ?? ''}${target}`, headers: flat(sent), setHost: false, signal });
      request.once('response', resolve);
      // Whoever answers with another protocol, or with 1xx for ever, answers nothing.
      request.once('upgrade', (_answer, socket) => {
        socket.destroy();
        reject(new Error('it switched protocols'));
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (request.reusedSocket && error.code === 'ECONNRESET') resolve('stale');
        else reject(error);
      });
      request.end();
    });
  }

  async #read(answer: IncomingMessage): Promise<Answer> {
    const status = answer.statusCode ?? 0;
    const pairs = pairsOf(answer.rawHeaders);
    if (status === 200) {
      // Its body is of no use; what is short is read, so that the connection can be used again.
      answer.on('error', () => undefined).resume();
      const remove = pairs.filter(([name]) => name.toLowerCase() === TO_REMOVE).flatMap(([, value]) => value.split(','));
      return allow({ set: pairs.filter(([name]) => this.#toUpstream(name)), append: [], remove });
    }
    if (status >= 500) {
      answer.destroy();
      return this.#unavailable(`it answered ${status}`);
    }
    const body = await bounded(answer);
    return deny(status, pairs.filter(([name]) => this.#toDownstream(name)), body);
  }
}

function pairsOf(raw: readonly string[]): HeaderPair[] {
  return raw.flatMap((name, index): HeaderPair[] => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []));
}

async function bounded(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error(`its answer is larger than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
