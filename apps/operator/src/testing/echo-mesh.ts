import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import http from 'node:http';
import net, { type Server } from 'node:net';
import { join } from 'node:path';
import type { CaView } from '@sallyport/shared/api';
import { freePort } from '../../../../tools/free-port.ts';
import { startDataPlane } from './data-plane.ts';
import type { TestOperator } from './operator.ts';
import { Relay } from './relay.ts';
import { until } from './until.ts';

/** A loaded machine may take its time; what takes longer than this is a call that failed. */
const PATIENCE_MS = 60_000;

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });

/** The spec of a Mesh beside its trust domain. */
export type MeshSettings = Readonly<Record<string, unknown>>;

/**
 * An application behind one proxy process and its caller behind another. It answers HTTP and echoes bytes: over HBONE,
 * and by mutual TLS on its own port, where each connection of a caller is a handshake of its own.
 */
export class EchoMesh {
  readonly proxies: readonly ChildProcess[];
  readonly #operator: TestOperator;
  readonly #directory: string;
  readonly #servers: readonly Server[];
  readonly #agent = new http.Agent({ keepAlive: true });
  /** Where the application's proxy takes mutual TLS. */
  readonly directPort: number;
  /** On which proxies reach the operator. */
  readonly operatorWays: readonly Relay[];

  private constructor(operator: TestOperator, directory: string, servers: readonly Server[], proxies: readonly ChildProcess[], directPort: number, operatorWays: readonly Relay[]) {
    this.operatorWays = operatorWays;
    this.directPort = directPort;
    this.#operator = operator;
    this.#directory = directory;
    this.#servers = servers;
    this.proxies = proxies;
  }

  /** Starts applications and proxies below `directory`; `log` is a file that takes what proxies say. They are not ready yet: call until it works. */
  static async start(operator: TestOperator, directory: string, settings: MeshSettings, log: number | 'ignore' = 'ignore'): Promise<EchoMesh> {
    const at = (name: string) => `unix:${directory}/${name}.sock`;
    const [web, bytes, direct] = [await freePort(), await freePort(), await freePort()];
    const hbone = [await freePort(), await freePort()];
    const servers = [http.createServer((_request, response) => void response.end('app')), net.createServer((socket) => void socket.on('error', () => undefined).pipe(socket))];
    await listenAt(servers[0] as Server, join(directory, 'app.sock'));
    await listenAt(servers[1] as Server, join(directory, 'echo.sock'));
    const workload = (name: string, proxy: string, spec: object) => doc('Workload', name, 'shop', { serviceAccount: name, address: '127.0.0.1', proxy, ...spec }, { app: name });
    const tcp = (service: string, port: number) => ({ protocol: 'tcp', listen: at(`${service}-${port}`), service, namespace: 'shop', port });
    await applyTo(operator, [meshDoc(settings)]);
    await settle(operator);
    await applyTo(operator, [
      workload('api', 'node-2', { hbonePort: hbone[0], inbound: [{ port: web, protocol: 'http', app: at('app') }, { port: bytes, protocol: 'tcp', app: at('echo') }] }),
      workload('direct', 'node-2', { hbonePort: 0, inbound: [{ port: direct, protocol: 'tcp', app: at('echo') }] }),
      workload('web', 'node-1', { hbonePort: hbone[1], outbound: [{ protocol: 'http', listen: at('web') }, tcp('api', 81), tcp('direct', 82)] }),
      doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80, targetPort: web }, { port: 81, targetPort: bytes, protocol: 'tcp' }] }),
      doc('Service', 'direct', 'shop', { selector: { app: 'direct' }, ports: [{ port: 82, targetPort: direct, protocol: 'tcp' }] }),
      doc('PeerAuthentication', 'default', 'shop', { mtls: { mode: 'STRICT' } }),
    ]);
    const ways = [await Relay.to(operator.joinUrl), await Relay.to(operator.streamUrl)] as const;
    const urls = { SALLYPORT_JOIN_URL: ways[0].url, SALLYPORT_STREAM_URL: ways[1].url };
    const proxies: ChildProcess[] = [];
    for (const name of ['node-1', 'node-2']) {
      mkdirSync(join(directory, name));
      proxies.push(await startDataPlane(operator, join(directory, name), { SALLYPORT_PROXY: name, SALLYPORT_LOG_LEVEL: 'info', ...urls }, log));
    }
    return new EchoMesh(operator, directory, servers, proxies, direct, ways.map(({ relay }) => relay));
  }

  /** Changes the Mesh. */
  configure(settings: MeshSettings): Promise<void> {
    return applyTo(this.#operator, [meshDoc(settings)]);
  }

  /** One call of HTTP. @throws Error unless the application's own answer came */
  async http(): Promise<void> {
    const request = http.get({ socketPath: join(this.#directory, 'web.sock'), agent: this.#agent, headers: { host: 'api.shop' }, signal: AbortSignal.timeout(PATIENCE_MS) });
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const chunk of answer.setEncoding('utf8')) body += String(chunk);
    if (answer.statusCode !== 200 || body !== 'app') throw new Error(`HTTP answered ${answer.statusCode}: ${body.slice(0, 200)}`);
  }

  /** One connection with a handshake of mutual TLS of its own. @throws Error unless what was sent came back */
  async handshake(): Promise<void> {
    const connection = this.connect('direct');
    try {
      await connection.echo();
    } finally {
      connection.close();
    }
  }

  /** One call in each way. @returns what failed, or null */
  async trouble(): Promise<string | null> {
    const tunnelled = this.connect('hbone');
    try {
      await this.http();
      await this.handshake();
      await tunnelled.echo();
      return null;
    } catch (error) {
      return (error as Error).message;
    } finally {
      tunnelled.close();
    }
  }

  /** A connection that stays: over HBONE, or by mutual TLS on the application's own port. */
  connect(way: 'hbone' | 'direct'): EchoConnection {
    return new EchoConnection(join(this.#directory, way === 'hbone' ? 'api-81.sock' : 'direct-82.sock'));
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await Promise.all(this.proxies.map(async (proxy) => {
      if (proxy.exitCode !== null || proxy.signalCode !== null) return;
      proxy.kill('SIGTERM');
      await once(proxy, 'exit');
    }));
    for (const closable of [...this.#servers, ...this.operatorWays]) closable.close();
  }
}

/** Bytes go out and come back, one message at a time. */
class EchoConnection {
  readonly #socket: net.Socket;
  #sent = 0;
  #back = '';
  #ended: Error | null = null;
  #waiting: PromiseWithResolvers<void> | null = null;

  constructor(path: string) {
    this.#socket = net.connect(path).setEncoding('latin1').setTimeout(PATIENCE_MS);
    this.#socket.on('timeout', () => this.#socket.destroy(new Error('nothing came back')));
    this.#socket.on('data', (chunk) => {
      this.#back += String(chunk);
      if (this.#back.endsWith(';')) this.#waiting?.resolve();
    });
    this.#socket.on('error', (error) => {
      this.#ended = error;
    });
    this.#socket.on('close', () => {
      this.#ended ??= new Error('the connection was closed');
      this.#waiting?.reject(this.#ended);
    });
  }

  /** @throws Error unless the same bytes come back */
  async echo(): Promise<void> {
    if (this.#ended) throw this.#ended;
    const text = `echo ${(this.#sent += 1)};`;
    this.#back = '';
    this.#waiting = Promise.withResolvers();
    this.#socket.write(text);
    await this.#waiting.promise;
    if (this.#back !== text) throw new Error(`sent ${text} and got ${this.#back.slice(0, 200)}`);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/**
 * What the operator signed before it knew the lifetimes is good for a day: its own SVID, for which the first root stays in the
 * bundle. Another root signs from now on, and its SVIDs are all of the lifetimes that were asked for.
 */
async function settle(operator: TestOperator): Promise<void> {
  const active = async () => ((await operator.call('GET', '/ca')).body as CaView).certificates.find(({ role, state }) => role === 'root' && state === 'active')?.id;
  const first = await active();
  await operator.call('POST', '/ca/rotate-root');
  await until(active, (id) => id !== first);
  await operator.restart();
}

function meshDoc(settings: MeshSettings): string {
  return doc('Mesh', 'default', null, { trustDomain: 'shop.test', ...settings });
}

async function applyTo(operator: TestOperator, manifests: readonly string[]): Promise<void> {
  const { status, body } = await operator.call('POST', '/apply', { manifest: manifests.join('\n---\n') });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

async function listenAt(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
}
