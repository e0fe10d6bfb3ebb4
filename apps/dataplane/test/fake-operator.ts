import { createHash, createPublicKey, generateKeyPairSync, randomBytes, verify, X509Certificate } from 'node:crypto';
import http2, { type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { z } from 'zod';
import { canonicalJson, operatorSpiffeId, proxySpiffeId } from '@sallyport/shared/mesh';
import { type JwtAuthority, readCsr, signJwtSvid } from '@sallyport/shared/pki';
import { ackRequest, attestRequest, challengeRequest, configDelta, type ConfigEntry, joinRequest, jwtRequest, reattestRequest, reportRequest, type ReportRequest, setHashInput, subscribeRequest, svidRequest } from '@sallyport/shared/push';
import { TestCa, TRUST_DOMAIN } from './certificates.ts';

type Ack = z.infer<typeof ackRequest>;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

interface Subscriber {
  readonly stream: ServerHttp2Stream;
  have: Record<string, string>;
}

class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;
  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** The operator's side of the push protocol, by its schemas, over real TLS and HTTP/2, with a store in memory. */
export class FakeOperator {
  readonly ca = new TestCa();
  readonly #jwt = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly tokens = new Map<string, string>();
  /** Projected tokens that are good now, with the proxy of their pod; null for an operator without Kubernetes. */
  podTokens: Map<string, string> | null = new Map();
  readonly attests: string[] = [];
  readonly acks: { proxy: string; ack: Ack }[] = [];
  /** Accepted reports, deduplicated by (epoch, seq) as the real operator does. */
  readonly reports: ReportRequest[] = [];
  readonly joins: string[] = [];
  readonly reattests: string[] = [];
  issued = 0;
  /** Lifetime of issued SVIDs, and the share of it after which they are to be renewed. */
  lifetime = 3_600_000;
  renewShare = 0.5;
  /** Set to answer reports with an error. `lose` takes the report and breaks the connection before answering. */
  reportMode: 'accept' | 'busy' | 'lose' | 'refuse' = 'accept';
  keepAliveMs = 500;
  joinUrl = new URL('https://127.0.0.1');
  streamUrl = new URL('https://127.0.0.1');
  readonly #seen = new Set<string>();
  readonly #machineKeys = new Map<string, string>();
  readonly #nonces = new Map<string, string>();
  readonly #config = new Map<string, Map<string, ConfigEntry>>();
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #servers: Http2SecureServer[] = [];
  #version = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #host: string;

  constructor(host = '127.0.0.1') {
    this.#host = host;
  }

  async start(): Promise<void> {
    const join = await this.#listen(Number(this.joinUrl.port), false);
    const stream = await this.#listen(Number(this.streamUrl.port), true);
    this.joinUrl = new URL(`https://${this.#host}:${join}`);
    this.streamUrl = new URL(`https://${this.#host}:${stream}`);
    this.#timer = setInterval(() => {
      for (const { stream } of this.#subscribers.values()) if (!stream.closed) stream.write('\n');
    }, this.keepAliveMs);
  }

  /** As kill -9 would: everything breaks at once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const session of this.#sessions) session.destroy();
    this.#subscribers.clear();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    this.#servers = [];
  }

  token(proxy: string): string {
    const token = randomBytes(24).toString('hex');
    this.tokens.set(token, proxy);
    return token;
  }

  /** Sets a proxy's whole configuration and sends the difference. */
  configure(proxy: string, entries: ReadonlyMap<string, ConfigEntry>): void {
    this.#config.set(proxy, new Map(entries));
    this.#version += 1;
    const subscriber = this.#subscribers.get(proxy);
    if (subscriber) this.#sendDelta(proxy, subscriber);
  }

  /** Sends a line as it is, to see what the proxy makes of it. */
  sendRaw(proxy: string, line: string): void {
    this.#subscribers.get(proxy)?.stream.write(`${line}\n`);
  }

  /** A delta against what the proxy has; `tamper` may break it. */
  delta(proxy: string, have: Record<string, string>): z.input<typeof configDelta> {
    const wanted = this.#config.get(proxy) ?? new Map<string, ConfigEntry>();
    const all = [...wanted].map(([name, entry]) => ({ name, hash: sha256(canonicalJson(entry)), entry }));
    const hashes = Object.fromEntries(all.map(({ name, hash }) => [name, hash]));
    return {
      nonce: randomBytes(8).toString('hex'),
      version: String(this.#version),
      upserts: all.filter(({ name, hash }) => have[name] !== hash),
      removed: Object.keys(have).filter((name) => !wanted.has(name)),
      setHash: sha256(setHashInput(hashes)),
    };
  }

  #sendDelta(proxy: string, subscriber: Subscriber): void {
    const delta = this.delta(proxy, subscriber.have);
    subscriber.stream.write(`${JSON.stringify(delta)}\n`);
  }

  #listen(port: number, mutual: boolean): Promise<number> {
    const identity = this.ca.leaf(operatorSpiffeId(TRUST_DOMAIN));
    const server = http2.createSecureServer({ ...identity, ca: this.ca.root, minVersion: 'TLSv1.3', requestCert: mutual, rejectUnauthorized: mutual });
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => undefined);
      session.once('close', () => this.#sessions.delete(session));
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      void this.#serve(stream, String(headers[':path']), mutual ? callerOf(stream) : '');
    });
    this.#servers.push(server);
    return new Promise((resolve) => server.listen(port, this.#host, () => resolve((server.address() as AddressInfo).port)));
  }

  async #serve(stream: ServerHttp2Stream, path: string, caller: string): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      const answer = caller === '' ? this.#onJoinPort(path, body) : this.#onStreamPort(stream, path, body, caller);
      if (answer === 'streaming') return;
      stream.respond({ ':status': answer === undefined ? 204 : 200 });
      stream.end(answer === undefined ? '' : JSON.stringify(answer));
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(400, (error as Error).message);
      if (stream.destroyed) return;
      stream.respond({ ':status': refusal.status, ...refusal.headers });
      stream.end(JSON.stringify({ error: { code: 'refused', message: refusal.message } }));
    }
  }

  #onJoinPort(path: string, body: unknown): unknown {
    if (path === '/v1/join') {
      const { token, proxy, machineKey, csr } = joinRequest.parse(body);
      if (this.tokens.get(token) !== proxy) throw new Refusal(401, 'unknown or used token');
      this.tokens.delete(token);
      this.#machineKeys.set(proxy, machineKey);
      this.joins.push(proxy);
      return this.#issue(csr, proxySpiffeId(TRUST_DOMAIN, proxy));
    }
    if (path === '/v1/challenge') {
      const { proxy } = challengeRequest.parse(body);
      const nonce = randomBytes(24).toString('hex');
      this.#nonces.set(nonce, proxy);
      return { nonce, expiresAt: Date.now() + 60_000 };
    }
    if (path === '/v1/attest') return this.#onAttest(body);
    if (path !== '/v1/reattest') throw new Refusal(404, 'no such path');
    const { proxy, nonce, signature, csr } = reattestRequest.parse(body);
    const key = this.#machineKeys.get(proxy);
    const good = key !== undefined && this.#nonces.get(nonce) === proxy && verify('sha256', Buffer.from(`sallyport-reattest:${proxy}:${nonce}`), createPublicKey(key), Buffer.from(signature, 'base64'));
    if (!good) throw new Refusal(401, 'unknown machine key');
    this.#nonces.delete(nonce);
    this.reattests.push(proxy);
    return this.#issue(csr, proxySpiffeId(TRUST_DOMAIN, proxy));
  }

  #onAttest(body: unknown): unknown {
    const { token, proxy, csr } = attestRequest.parse(body);
    if (!this.podTokens) throw new Refusal(404, 'there is no Kubernetes here');
    const owner = this.podTokens.get(token);
    if (owner === undefined) throw new Refusal(401, 'the token is not good');
    if (owner !== proxy) throw new Refusal(403, 'the token is of another pod');
    this.attests.push(proxy);
    return this.#issue(csr, proxySpiffeId(TRUST_DOMAIN, proxy));
  }

  #onStreamPort(stream: ServerHttp2Stream, path: string, body: unknown, caller: string): unknown {
    const proxy = caller.split('/').at(-1) ?? '';
    if (path === '/v1/config') {
      const { have } = subscribeRequest.parse(body);
      stream.respond({ ':status': 200 });
      const subscriber = { stream, have };
      this.#subscribers.set(proxy, subscriber);
      if (this.#config.has(proxy)) this.#sendDelta(proxy, subscriber);
      return 'streaming';
    }
    if (path === '/v1/ack') {
      const ack = ackRequest.parse(body);
      this.acks.push({ proxy, ack });
      const subscriber = this.#subscribers.get(proxy);
      if (subscriber && ack.errors.length === 0) subscriber.have = this.#hashes(proxy);
      return undefined;
    }
    if (path === '/v1/svid') return this.#onSvid(body, caller, proxy);
    if (path === '/v1/jwt') return this.#onJwt(body, proxy);
    if (path !== '/v1/report') throw new Refusal(404, 'no such path');
    return this.#onReport(stream, body);
  }

  #onSvid(body: unknown, caller: string, proxy: string): unknown {
    const { workload, csr } = svidRequest.parse(body);
    if (!workload) return this.#issue(csr, caller);
    const entry = this.#config.get(proxy)?.get(`workload/${workload.namespace}/${workload.name}`);
    if (entry?.type !== 'workload') throw new Refusal(403, 'not yours');
    return this.#issue(csr, entry.value.spiffeId);
  }

  /** What proxies need to know of the key that signs JWT-SVIDs. */
  get jwtKey(): JwtAuthority {
    const { kty, crv, x, y } = this.#jwt.publicKey.export({ format: 'jwk' });
    return { kid: 'k1', jwk: { kty: String(kty), crv: String(crv), x: String(x), y: String(y) } };
  }

  #onJwt(body: unknown, proxy: string): unknown {
    const { workload, audience } = jwtRequest.parse(body);
    const entry = this.#config.get(proxy)?.get(`workload/${workload.namespace}/${workload.name}`);
    if (entry?.type !== 'workload') throw new Refusal(403, 'not yours');
    const iat = Math.floor(Date.now() / 1000);
    const token = signJwtSvid({ sub: entry.value.spiffeId, aud: audience, iat, exp: iat + 300 }, 'k1', this.#jwt.privateKey);
    return { token, expiresAt: (iat + 300) * 1000 };
  }

  #onReport(stream: ServerHttp2Stream, body: unknown): unknown {
    const report = reportRequest.parse(body);
    if (this.reportMode === 'busy') throw new Refusal(503, 'busy', { 'retry-after': '1' });
    if (this.reportMode === 'refuse') throw new Refusal(400, 'malformed');
    const key = `${report.epoch}/${report.seq}`;
    if (!this.#seen.has(key)) this.reports.push(report);
    this.#seen.add(key);
    if (this.reportMode === 'lose') {
      stream.session?.destroy();
      return 'streaming';
    }
    return { acceptedSeq: report.seq };
  }

  #hashes(proxy: string): Record<string, string> {
    return Object.fromEntries([...(this.#config.get(proxy) ?? [])].map(([name, entry]) => [name, sha256(canonicalJson(entry))]));
  }

  #issue(csr: string, spiffeId: string): unknown {
    this.issued += 1;
    const now = Date.now();
    const chain = this.ca.certify(spiffeId, readCsr(csr), { notAfter: now + this.lifetime });
    return { spiffeId, chain, bundle: [this.ca.root], renewAt: now + Math.round(this.lifetime * this.renewShare) };
  }
}

function callerOf(stream: ServerHttp2Stream): string {
  const socket = stream.session?.socket as TLSSocket | undefined;
  const raw = socket?.getPeerX509Certificate()?.raw;
  return raw ? (new X509Certificate(raw).subjectAltName ?? '').replace(/^URI:/, '') : '';
}
