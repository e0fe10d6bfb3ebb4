import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

/** What is done to a request instead of passing it on. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly reason?: string }
  /** The connection is cut. */
  | 'cut'
  /** Nothing is ever answered. */
  | 'silence';

/** A way to a real API server on which a test does what networks and busy servers do. It has the server's own certificate. */
export class ApiRelay {
  readonly #server: https.Server;
  readonly #kubeconfig: string;
  readonly #target: { readonly url: URL; readonly options: https.RequestOptions; readonly headers: OutgoingHttpHeaders };
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<ServerResponse>();
  readonly #held = new Set<IncomingMessage>();
  readonly #agent = new https.Agent({ keepAlive: true });
  /** Every request that came, as method and URL. */
  readonly seen: string[] = [];
  /** Asked about each request; null passes it on. */
  fault: (request: IncomingMessage) => Fault | null = () => null;

  private constructor(kubeconfig: string, url: URL, options: https.RequestOptions & { headers: OutgoingHttpHeaders }) {
    this.#kubeconfig = kubeconfig;
    this.#target = { url, options, headers: options.headers };
    const file = (name: string) => readFileSync(join(dirname(kubeconfig), 'certs', name));
    this.#server = https.createServer({ cert: file('apiserver.crt'), key: file('apiserver.key') }, (request, response) => this.#handle(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    });
  }

  /** @param kubeconfig of a cluster of tools/kube */
  static async to(kubeconfig: string): Promise<ApiRelay> {
    const config = load(kubeconfig);
    const options: https.RequestOptions & { headers: OutgoingHttpHeaders } = { headers: {} };
    await config.applyToHTTPSOptions(options);
    const relay = new ApiRelay(kubeconfig, new URL(config.getCurrentCluster()?.server ?? ''), options);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** A configuration that leads here. */
  get config(): KubeConfig {
    const config = load(this.#kubeconfig);
    const server = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    config.clusters = config.clusters.map((cluster) => ({ ...cluster, server }));
    return config;
  }

  /** Cuts what is open, in the middle of whatever it says. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on the open watches say nothing, without an end. */
  hush(): void {
    for (const answer of this.#held) answer.unpipe().pause();
    for (const stream of this.#streams) this.#streams.delete(stream);
  }

  get watches(): number {
    return this.#streams.size;
  }

  close(): void {
    this.cut();
    this.#agent.destroy();
    this.#server.close();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const fault = this.fault(request);
    if (fault === null) this.#pass(request, response);
    else if (fault === 'cut') request.socket.destroy();
    else if (fault !== 'silence') {
      const { status, headers = {}, reason = 'Fault' } = fault;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code: status, message: `fault ${status}` }));
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const { url, options, headers: own } = this.#target;
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const onward = https.request(new URL(request.url ?? '/', url), { ...options, method: request.method, headers: { ...headers, ...own }, agent: this.#agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      // Headers of a watch go out before its first event.
      response.flushHeaders();
      if (request.url?.includes('watch=1')) {
        this.#streams.add(response);
        this.#held.add(answer);
      }
      answer.pipe(response);
      answer.on('error', () => response.destroy()).on('close', () => this.#held.delete(answer));
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => {
      this.#streams.delete(response);
      onward.destroy();
    });
    request.pipe(onward);
  }
}

function load(kubeconfig: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  return config;
}
