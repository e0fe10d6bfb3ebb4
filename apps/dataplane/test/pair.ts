import type { PortProtocol } from '@sallyport/shared/mesh';
import type { Limits } from '../src/listener/limits.ts';
import { workloadUri } from './certificates.ts';
import { addService, addWorkload, baseEntries, type Entries, freePort, TestMesh } from './mesh.ts';

export interface PairOptions {
  /** The address that the server's proxy serves HBONE at; without one there is none. */
  readonly hbone?: string;
  /** Limits of the server's proxy. */
  readonly limits?: Partial<Limits>;
}

/** A caller's proxy `a`, whose calls enter at a Unix socket, and in front of an application the proxy `b` of `api.pay`. */
export class Pair {
  readonly mesh: TestMesh;
  readonly port: number;
  readonly hbone: number;
  readonly address: string;
  readonly client: Entries;
  readonly server: Entries;

  private constructor(mesh: TestMesh, ports: { readonly port: number; readonly hbone: number }, address: string) {
    this.mesh = mesh;
    this.port = ports.port;
    this.hbone = ports.hbone;
    this.address = address;
    this.client = baseEntries(mesh.operator.ca.root);
    this.server = baseEntries(mesh.operator.ca.root);
  }

  static async start(protocol: PortProtocol, app: (mesh: TestMesh) => Promise<string>, { hbone, limits }: PairOptions = {}): Promise<Pair> {
    const mesh = await TestMesh.start();
    const pair = new Pair(mesh, { port: await freePort(), hbone: hbone === undefined ? 0 : await freePort() }, hbone ?? '127.0.0.1');
    const side = protocol === 'tcp' ? ({ protocol, service: 'api', namespace: 'pay', port: 80 } as const) : ({ protocol: 'http' } as const);
    addWorkload(pair.client, 'shop', 'web', { outbound: [{ ...side, listen: `unix:${pair.out}` }] });
    const endpoint = { port: pair.port, spiffeId: workloadUri('pay', 'api'), address: pair.address, hbone: hbone === undefined ? null : pair.hbone };
    addService(pair.client, 'pay', 'api', protocol, [endpoint]);
    addWorkload(pair.server, 'pay', 'api', { address: pair.address, hbonePort: pair.hbone, inbound: [{ port: pair.port, protocol, app: await app(mesh) }] }, { port: pair.port });
    await Promise.all([mesh.proxy('a'), mesh.proxy('b', limits)]);
    await Promise.all([mesh.configure('a', pair.client), mesh.configure('b', pair.server)]);
    return pair;
  }

  /** Where the caller's calls enter. */
  get out(): string {
    return this.mesh.socketPath('out');
  }
}
