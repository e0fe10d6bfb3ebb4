import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { join } from 'node:path';
import type { Flow } from '@sallyport/shared/mesh';
import { createCsr } from '@sallyport/shared/pki';
import type { ConfigDelta, ReportRequest } from '@sallyport/shared/push';
import type { SvidAnswer } from '../ca/issuance.ts';
import type { TestOperator } from './operator.ts';

interface Answer {
  readonly status: number;
  /** Seconds that the operator asked to wait; 0 when it did not. */
  readonly retryAfter: number;
  readonly body: never;
}

async function post(session: ClientHttp2Session, path: string, body: unknown): Promise<Answer> {
  const stream = session.request({ ':method': 'POST', ':path': path });
  stream.end(JSON.stringify(body));
  // Read from the start: a stream that closes before anybody reads it drops what came.
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const response = new Promise<IncomingHttpHeaders & IncomingHttpStatusHeader>((resolve) => {
    stream.once('response', resolve);
  });
  // `once` fails when the stream does, which ends the wait for the response too.
  const [headers] = await Promise.all([response, once(stream, 'end')]);
  return { status: Number(headers[':status']), retryAfter: Number(headers['retry-after'] ?? 0), body: (text === '' ? null : JSON.parse(text)) as never };
}

/** Speaks the push protocol by hand: the operator's view of a proxy, without a data plane. */
export class WireProxy {
  readonly name: string;
  readonly #operator: TestOperator;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #machine = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #open = new Set<ClientHttp2Session>();
  readonly deltas: ConfigDelta[] = [];
  readonly #waiters: (() => void)[] = [];
  svid: SvidAnswer | null = null;
  #stream: ClientHttp2Session | null = null;
  #seq = 0;
  #reported = 0;

  constructor(name: string, operator: TestOperator) {
    this.name = name;
    this.#operator = operator;
  }

  #session(url: string, credentials: { key?: KeyObject; cert?: string } = {}): ClientHttp2Session {
    const ca = readFileSync(join(this.#operator.stateDir, 'bundle.pem'), 'utf8');
    const key = credentials.key?.export({ type: 'pkcs8', format: 'pem' });
    const session = connect(url, { ca, checkServerIdentity: () => undefined, ...(key ? { key } : {}), ...(credentials.cert ? { cert: credentials.cert } : {}) });
    session.on('error', () => undefined);
    this.#open.add(session);
    return session;
  }

  csr(): string {
    return createCsr(this.#keys);
  }

  /** Joins with a token. @returns the HTTP status and body */
  async join(token: string, proxy = this.name): Promise<Answer> {
    const machineKey = this.#machine.publicKey.export({ type: 'spki', format: 'pem' });
    const answer = await post(this.#session(this.#operator.joinUrl), '/v1/join', { token, proxy, role: 'node', machineKey, csr: this.csr() });
    if (answer.status === 200) this.svid = answer.body;
    return answer;
  }

  /** Attests by the token of a pod. */
  async attest(token: string, role: 'node' | 'sidecar' = 'sidecar'): Promise<Answer> {
    const answer = await post(this.#session(this.#operator.joinUrl), '/v1/attest', { token, proxy: this.name, role, csr: this.csr() });
    if (answer.status === 200) this.svid = answer.body;
    return answer;
  }

  /** Asks for the SVID of a workload; of the proxy itself without one. */
  svidOf(workload: { namespace: string; name: string } | null): Promise<Answer> {
    return this.call('/v1/svid', { workload, csr: this.csr() });
  }

  /** Mints a token by the API and joins with it. */
  async enrol(): Promise<void> {
    const { body } = await this.#operator.call('POST', '/proxies/tokens', { proxy: this.name, role: 'node' });
    await this.join((body as { token: string }).token);
  }

  /** Proves the machine key, or another one. */
  async reattest(key = this.#machine.privateKey): Promise<Answer> {
    const session = this.#session(this.#operator.joinUrl);
    const { nonce } = (await post(session, '/v1/challenge', { proxy: this.name })).body as { nonce: string };
    const signature = sign('sha256', Buffer.from(`sallyport-reattest:${this.name}:${nonce}`), key).toString('base64');
    return post(session, '/v1/reattest', { proxy: this.name, nonce, signature, csr: this.csr() });
  }

  /** The session on the stream port; a new one when the operator ended the last. */
  #connected(): ClientHttp2Session {
    if (!this.#stream || this.#stream.destroyed || this.#stream.closed) {
      this.#stream = this.#session(this.#operator.streamUrl, { key: this.#keys.privateKey, cert: this.svid?.chain.join('') ?? '' });
    }
    return this.#stream;
  }

  /** Calls the stream port with the SVID. */
  async call(path: string, body: unknown): Promise<Answer> {
    return post(this.#connected(), path, body);
  }

  /** Subscribes; deltas are collected and, with `ack`, confirmed. */
  subscribe(options: { ack: boolean; have?: Record<string, string> }): ClientHttp2Stream {
    const stream = this.#connected().request({ ':method': 'POST', ':path': '/v1/config' });
    stream.end(JSON.stringify({ proxy: this.name, have: options.have ?? {} }));
    let buffer = '';
    stream.on('data', (chunk: Buffer) => {
      buffer += chunk.toString();
      const lines = buffer.split('\n');
      buffer = lines.pop() ?? '';
      for (const line of lines.filter((text) => text !== '')) this.#receive(JSON.parse(line) as ConfigDelta, options.ack);
    });
    stream.on('error', () => undefined);
    return stream;
  }

  #receive(delta: ConfigDelta, ack: boolean): void {
    this.deltas.push(delta);
    for (const wake of this.#waiters.splice(0)) wake();
    if (ack) void this.acknowledge(delta);
  }

  acknowledge(delta: ConfigDelta, errors: { name: string; message: string }[] = []): Promise<Answer> {
    return this.call('/v1/ack', { nonce: delta.nonce, version: delta.version, errors });
  }

  /** The first delta, past or to come, that fits. */
  async delta(fits: (delta: ConfigDelta) => boolean): Promise<ConfigDelta> {
    for (;;) {
      const found = this.deltas.find(fits);
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
  }

  /** A report of everything since the last one, or the very same again. */
  report(flows: Partial<Flow>[], change: Partial<ReportRequest> = {}): Promise<Answer> {
    const now = Date.now();
    this.#seq += 1;
    const from = this.#reported === 0 ? now - 2_000 : this.#reported;
    this.#reported = now;
    return this.call('/v1/report', {
      epoch: 'epoch-0001', seq: this.#seq, from, to: now, droppedFrom: null, denies: [], shadows: [], svids: [], configVersion: null, configAgeSeconds: null,
      flows: flows.map((flow) => this.flow(flow, now)),
      ...change,
    });
  }

  flow(flow: Partial<Flow>, now: number): Flow {
    return {
      reporter: this.name, side: 'inbound', protocol: 'http', method: 'GET', path: '/', samplePath: '/', mtls: 'mutual', verdict: 'allowed', reason: null, policy: null,
      source: { principal: 'spiffe://shop.test/ns/shop/sa/web', ip: '127.0.0.1' },
      destination: { namespace: 'shop', workload: 'api', service: 'api', port: 80 },
      count: 1, bytesReceived: 0, bytesSent: 0, firstSeen: now, lastSeen: now, ...flow,
    };
  }

  close(): void {
    for (const session of this.#open) session.destroy();
  }
}
