import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders, type IncomingMessage, type RequestListener } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Flow, PortProtocol, ShadowCount } from '@sallyport/shared/mesh';
import { type ConfigEntry, readKeySet, type ReportRequest } from '@sallyport/shared/push';
import { API_VERSION, KINDS, type Workload } from '@sallyport/shared/resources';
import type { ProxyConfig } from '../src/config.ts';
import { LIMITS, type Limits } from '../src/listener/limits.ts';
import { Proxy } from '../src/proxy.ts';
import { TRUST_DOMAIN, workloadUri } from './certificates.ts';
import { FakeOperator } from './fake-operator.ts';

/** Waits until `condition` gives a value; fails after 20 s, or so many ms, with what was waited for. */
export async function until<T>(what: string, condition: () => T | undefined | null | false | Promise<T | undefined | null | false>, ms = 20_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export { freePort } from '../../../tools/free-port.ts';

export type Entries = Map<string, ConfigEntry>;

/** An operator, proxies and applications in this process, over real sockets. */
export class TestMesh {
  readonly operator: FakeOperator;
  readonly directory = mkdtempSync(join(tmpdir(), 'dataplane-'));
  readonly logs: Record<string, unknown>[] = [];
  /** What proxies that start from now on are told beside the defaults. */
  telemetry: Partial<ProxyConfig['telemetry']> = {};
  /** SPIFFE_ENDPOINT_SOCKET of proxies that start from now on. */
  workloadApiSocket: string | null = null;
  readonly #proxies = new Map<string, Proxy>();
  readonly #closers: (() => void)[] = [];

  constructor(host?: string) {
    this.operator = new FakeOperator(host);
  }

  /** @param host where the operator listens; loopback unless proxies are elsewhere */
  static async start(host?: string): Promise<TestMesh> {
    const mesh = new TestMesh(host);
    await mesh.operator.start();
    return mesh;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.stop()));
    for (const close of this.#closers) close();
    await this.operator.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  config(name: string): ProxyConfig {
    const bootstrapBundleFile = join(this.directory, 'bootstrap.pem');
    writeFileSync(bootstrapBundleFile, this.operator.ca.root);
    const joinTokenFile = join(this.directory, `${name}.token`);
    const stateDir = join(this.directory, name);
    const { joinUrl, streamUrl } = this.operator;
    const telemetry = { accessLog: 'off', accessLogSample: 1, otlp: null, traceSample: 0, ...this.telemetry } as const;
    const workloadApi = join(this.directory, `${name}.workload-api`);
    return { proxy: name, role: 'node', trustDomain: TRUST_DOMAIN, joinUrl, streamUrl, joinTokenFile, tokenFile: null, bootstrapBundleFile, stateDir, adminPort: 0, probes: null, reportInterval: 100, connectionAge: 3_600_000, workloadApi, workloadApiSocket: this.workloadApiSocket, logLevel: 'debug', telemetry };
  }

  /** Starts a proxy; its token is made unless the state directory knows it already. */
  async proxy(name: string, limits: Partial<Limits> = {}): Promise<Proxy> {
    const config = this.config(name);
    if (!this.#proxies.has(name)) writeFileSync(join(this.directory, `${name}.token`), this.operator.token(name));
    const write = (line: string) => void this.logs.push(JSON.parse(line) as Record<string, unknown>);
    const proxy = new Proxy(config, pino({ level: 'debug', base: { proxy: name } }, { write }), { ...LIMITS, ...limits });
    this.#proxies.set(name, proxy);
    await proxy.start();
    return proxy;
  }

  async stopProxy(name: string): Promise<void> {
    await this.#proxies.get(name)?.stop();
  }

  /** Configures a proxy and waits until it is in force and every SVID is there. */
  async configure(name: string, entries: Entries): Promise<void> {
    const before = this.operator.acks.length;
    this.operator.configure(name, entries);
    const acked = await until(`an answer of ${name}`, () => this.operator.acks.slice(before).find(({ proxy }) => proxy === name));
    if (acked.ack.errors.length > 0) throw new Error(`refused: ${JSON.stringify(acked.ack.errors)}`);
    await until(`${name} to be ready`, () => this.#proxies.get(name)?.unready().length === 0);
  }

  /** An HTTP application on a Unix socket; returns its address for a Workload. */
  async app(listener: RequestListener, options: http.ServerOptions = {}): Promise<string> {
    const path = join(this.directory, `app-${this.#closers.length}.sock`);
    const server = http.createServer(options, listener);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    this.#closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return `unix:${path}`;
  }

  async tcpApp(serve: (socket: net.Socket) => void): Promise<string> {
    const path = join(this.directory, `app-${this.#closers.length}.sock`);
    const sockets = new Set<net.Socket>();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    this.#closers.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return `unix:${path}`;
  }

  socketPath(name: string): string {
    return join(this.directory, `${name}.sock`);
  }

  /** The value of a metric, given as in the exposition: `name{label="value"}`. */
  async metric(proxy: string, name: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.#proxies.get(proxy)?.adminPort}/metrics`);
    const line = (await answer.text()).split('\n').find((each) => each.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  }

  /** Everything that a proxy reported, once a report came that was built after this call. */
  async flows(proxy: string): Promise<Flow[]> {
    return (await this.#reports(proxy)).flatMap((report) => report.flows);
  }

  /** What policies that do not decide matched so far, summed over the reports. */
  async shadows(proxy: string): Promise<ShadowCount[]> {
    const all = (await this.#reports(proxy)).flatMap((report) => report.shadows);
    const place = ({ policy, rule, port }: ShadowCount) => `${policy} ${rule} ${port}`;
    return [...Map.groupBy(all, place).values()].flatMap(([first, ...more]) => (first ? [{ ...first, count: more.reduce((sum, each) => sum + each.count, first.count) }] : []));
  }

  async #reports(proxy: string): Promise<ReportRequest[]> {
    const since = Date.now();
    const ofProxy = () => this.operator.reports.filter((report) => report.svids.some(({ spiffeId }) => spiffeId.endsWith(`/proxy/${proxy}`)));
    await until(`a report of ${proxy}`, () => ofProxy().some((report) => report.from >= since));
    return ofProxy();
  }
}

/** Sum of counts of the flows that match. */
export function countOf(flows: readonly Flow[], match: (flow: Flow) => boolean): number {
  return flows.filter(match).reduce((sum, flow) => sum + flow.count, 0);
}

/** The mesh and bundle entries that every configuration has. */
export function baseEntries(root: string): Entries {
  return new Map<string, ConfigEntry>([
    ['mesh', { type: 'mesh', value: KINDS.Mesh.schema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: TRUST_DOMAIN } }) }],
    ['bundle', { type: 'bundle', value: { trustDomain: TRUST_DOMAIN, roots: [root], jwtKeys: [] } }],
  ]);
}

export function addWorkload(entries: Entries, namespace: string, name: string, spec: Partial<Workload['spec']>, service?: { port: number }): void {
  // Meshes of other tests are on this machine too: HBONE is for tests that ask for it.
  const full = { serviceAccount: name, address: '127.0.0.1', hbonePort: 0, inbound: [], outbound: [], ...spec };
  const resource = { apiVersion: API_VERSION, kind: 'Workload', metadata: { name, namespace, labels: { app: name } }, spec: full } as const;
  const services = service ? [{ name, targetPort: service.port }] : [];
  entries.set(`workload/${namespace}/${name}`, { type: 'workload', value: { resource, spiffeId: workloadUri(namespace, name), services } });
}

export interface TestEndpoint {
  readonly port: number;
  readonly spiffeId: string | null;
  readonly address?: string;
  readonly hbone?: number | null;
}

export function addService(entries: Entries, namespace: string, name: string, protocol: PortProtocol, endpoints: readonly TestEndpoint[]): void {
  const full = endpoints.map(({ port, spiffeId, address = '127.0.0.1', hbone = null }) => ({ workload: name, address, port, spiffeId, hbone }));
  entries.set(`service/${namespace}/${name}`, { type: 'service', value: { namespace, name, ports: [{ port: 80, protocol, endpoints: full }] } });
}

type PolicySpec = Extract<ConfigEntry, { type: 'authz' }>['value']['spec'];

export function addPolicy(entries: Entries, namespace: string, name: string, spec: Omit<PolicySpec, 'enforcement'> & Partial<PolicySpec>): void {
  const value = { apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec: { enforcement: 'Enforce', ...spec } } as const;
  entries.set(`authz/${namespace}/${name}`, { type: 'authz', value });
}

export function addPeerMode(entries: Entries, namespace: string, mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE'): void {
  const value = { apiVersion: API_VERSION, kind: 'PeerAuthentication', metadata: { name: 'default', namespace }, spec: { mtls: { mode } } } as const;
  entries.set(`peer/${namespace}/default`, { type: 'peer', value });
}

/** A TrafficPolicy that rules `services` of its namespace. */
export function addTraffic(entries: Entries, namespace: string, services: readonly string[], spec: object): void {
  const targetRefs = services.map((name) => ({ kind: 'Service', name }));
  const resource = KINDS.TrafficPolicy.schema.parse({ apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name: 'traffic', namespace }, spec: { targetRefs, ...spec } });
  entries.set(`traffic/${namespace}/traffic`, { type: 'traffic', value: { resource, services: [...services] } });
}

export function addAuthentication(entries: Entries, namespace: string, name: string, spec: object): void {
  const value = KINDS.RequestAuthentication.schema.parse({ apiVersion: API_VERSION, kind: 'RequestAuthentication', metadata: { name, namespace }, spec });
  entries.set(`authn/${namespace}/${name}`, { type: 'authn', value });
}

export function addKeys(entries: Entries, source: string, keys: readonly object[]): void {
  const value = { source, keys: readKeySet(JSON.stringify({ keys })) };
  entries.set(`jwks/${createHash('sha256').update(source).digest('hex')}`, { type: 'jwks', value });
}

/** Replaces the Mesh by one with these settings. */
export function setMesh(entries: Entries, spec: object): void {
  const value = KINDS.Mesh.schema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: TRUST_DOMAIN, ...spec } });
  entries.set('mesh', { type: 'mesh', value });
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
}

/** One HTTP request; `body` is sent as it is. Connections are not kept. */
export function call(options: http.RequestOptions, body?: string | Buffer): Promise<TestAnswer> {
  return new Promise((resolve, reject) => {
    const req = http.request({ agent: false, ...options }, (res) => void collect(res).then(resolve, reject));
    req.on('error', reject);
    req.end(body);
  });
}

async function collect(res: IncomingMessage): Promise<TestAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of res as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: res.statusCode ?? 0, headers: res.headers, trailers: res.trailers, body: Buffer.concat(chunks).toString('utf8') };
}

/** Sends raw bytes over a socket and returns everything that comes back until it closes. */
export function raw(socket: net.Socket, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(bytes);
  });
}
