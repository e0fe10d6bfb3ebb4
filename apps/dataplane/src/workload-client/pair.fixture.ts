import tls from 'node:tls';
import { type KeyedCertificate, workloadUri } from '../../test/certificates.ts';
import { addPeerMode, addService, addWorkload, baseEntries, call, type Entries, freePort, setMesh, type TestAnswer, TestMesh, until } from '../../test/mesh.ts';
import type { Proxy } from '../proxy.ts';

const WEB = workloadUri('shop', 'web');
const API = workloadUri('pay', 'api');

/** The caller `web.shop` behind the proxy `a` and the application `api.pay` behind `b`, STRICT, whose identities come from Workload APIs. */
export class SourcedPair {
  readonly mesh: TestMesh;
  readonly #port: number;
  readonly #entries: { readonly a: Entries; readonly b: Entries };
  readonly #proxies: Proxy[] = [];

  private constructor(mesh: TestMesh, port: number) {
    this.mesh = mesh;
    this.#port = port;
    this.#entries = { a: baseEntries(mesh.operator.ca.root), b: baseEntries(mesh.operator.ca.root) };
  }

  static async start(): Promise<SourcedPair> {
    const pair = new SourcedPair(await TestMesh.start(), await freePort());
    const { a, b } = pair.#entries;
    addWorkload(a, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${pair.mesh.socketPath('out')}` }] });
    addService(a, 'pay', 'api', 'http', [{ port: pair.#port, spiffeId: API }]);
    const app = await pair.mesh.app((req, res) => res.end(req.url));
    addWorkload(b, 'pay', 'api', { inbound: [{ port: pair.#port, protocol: 'http', app }] }, { port: pair.#port });
    addPeerMode(b, 'pay', 'STRICT');
    return pair;
  }

  /** Starts both, each with the socket of its Workload API, and waits until they are ready. */
  async configure(forWeb: string, forApi: string): Promise<void> {
    this.mesh.workloadApiSocket = forWeb;
    this.#proxies.push(await this.mesh.proxy('a'));
    this.mesh.workloadApiSocket = forApi;
    this.#proxies.push(await this.mesh.proxy('b'));
    await this.issuer('spire');
  }

  /** Says in the Mesh who issues. */
  async issuer(ca: 'spire' | 'operator'): Promise<void> {
    const settings = ca === 'spire' ? { ca: { spire: { workloadApi: '/nowhere/agent.sock' } } } : {};
    for (const entries of Object.values(this.#entries)) setMesh(entries, settings);
    await Promise.all(Object.entries(this.#entries).map(([name, entries]) => this.mesh.configure(name, entries)));
  }

  get(path = '/'): Promise<TestAnswer> {
    return call({ socketPath: this.mesh.socketPath('out'), path, headers: { host: 'api.pay' } });
  }

  /** How many SVIDs a workload got so far. */
  installed(spiffeId: string): number {
    return this.mesh.logs.filter((line) => line['msg'] === 'SVID installed' && line['spiffeId'] === spiffeId).length;
  }

  /** Waits until both workloads have had as many: a real issuer takes its time. */
  async installedAtLeast(count: number): Promise<void> {
    await until(`SVID ${count} of both`, () => this.installed(WEB) >= count && this.installed(API) >= count, 120_000);
  }

  /** How many roots of their own trust domain a proxy was given last. */
  roots(name: 'a' | 'b'): unknown {
    return this.mesh.logs.findLast(({ proxy, msg }) => proxy === name && msg === 'Workload API: state received')?.['roots'];
  }

  unready(): string[] {
    return this.#proxies.flatMap((proxy) => proxy.unready());
  }

  /** Callers that `b` let in. */
  async callers(): Promise<(string | null)[]> {
    const flows = await this.mesh.flows('b');
    return [...new Set(flows.filter(({ verdict }) => verdict === 'allowed').map(({ source }) => source.principal))];
  }

  /** What a client with this leaf meets at `b`: the reason in the log of its refusal, or how the answer begins. */
  async knock(leaf: KeyedCertificate): Promise<string> {
    const before = this.mesh.logs.length;
    const socket = tls.connect({ host: '127.0.0.1', port: this.#port, ...leaf, rejectUnauthorized: false, servername: '', minVersion: 'TLSv1.3' });
    socket.on('error', () => undefined);
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: api.pay\r\n\r\n'));
    let answer = '';
    socket.once('data', (data: Buffer) => {
      answer = data.toString('latin1').slice(0, 12);
    });
    const refusal = () => this.mesh.logs.slice(before).find(({ proxy, msg }) => proxy === 'b' && msg === 'handshake refused')?.['handshake'];
    const result = await until('an answer or a refusal', () => (answer === '' ? refusal() : answer));
    socket.destroy();
    return String(result);
  }

  close(): Promise<void> {
    return this.mesh.close();
  }
}
