import type http from 'node:http';
import { addWorkload, baseEntries, type Entries, freePort, TestMesh } from './mesh.ts';
import { RawClient } from './raw-client.ts';

/** One proxy, `b`, in front of the application of `api.pay`, called without TLS so that tests can say every byte. */
export class SingleProxy {
  readonly mesh: TestMesh;
  readonly port: number;
  readonly server: Entries;
  readonly #clients: RawClient[] = [];

  private constructor(mesh: TestMesh, port: number) {
    this.mesh = mesh;
    this.port = port;
    this.server = baseEntries(mesh.operator.ca.root);
  }

  static async create(): Promise<SingleProxy> {
    return new SingleProxy(await TestMesh.start(), await freePort());
  }

  /** Starts the proxy in front of an application's address. */
  async start(app: string): Promise<void> {
    addWorkload(this.server, 'pay', 'api', { inbound: [{ port: this.port, protocol: 'http', app }] }, { port: this.port });
    await this.mesh.proxy('b');
    await this.mesh.configure('b', this.server);
  }

  async serve(handler: http.RequestListener): Promise<void> {
    await this.start(await this.mesh.app(handler));
  }

  connect(to: number | string = this.port): RawClient {
    const client = new RawClient(to);
    this.#clients.push(client);
    return client;
  }

  close(): Promise<void> {
    for (const { socket } of this.#clients.splice(0)) socket.destroy();
    return this.mesh.close();
  }
}
