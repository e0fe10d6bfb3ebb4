import { once } from 'node:events';
import http2 from 'node:http2';
import { workloadUri } from '../certificates.ts';
import { ChildProxy } from '../child.ts';
import { addPolicy, addService, addWorkload, baseEntries, type Entries, freePort, TestMesh } from '../mesh.ts';

const ADDRESS = '127.0.0.46';

/** Two proxies in processes of their own, HBONE between them, and an application of each kind. */
export interface Scene {
  readonly mesh: TestMesh;
  readonly client: ChildProxy;
  readonly server: ChildProxy;
  /** Where calls enter, and the ports that peers reach without the client's proxy. */
  readonly http: string;
  readonly tcp: string;
  readonly address: string;
  readonly port: number;
  readonly ports: { readonly http: number; readonly h2: number; readonly tcp: number; readonly hbone: number };
  /** Gives the proxies another configuration, by turns one with more and one with less. */
  change(): Promise<void>;
  close(): Promise<void>;
}

export async function openScene(): Promise<Scene> {
  const mesh = await TestMesh.start();
  const [httpPort, h2Port, tcpPort, spare, hbone] = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()]);
  const paths = { http: mesh.socketPath('out'), tcp: mesh.socketPath('db') };
  const app = await mesh.app((req, res) => void req.pipe(res));
  const h2 = await http2App(mesh);
  const tcp = await mesh.tcpApp((socket) => void socket.on('data', (chunk: Buffer) => socket.write(chunk)).on('end', () => socket.end()));
  const entries = (more: boolean): { client: Entries; server: Entries } => {
    const client = baseEntries(mesh.operator.ca.root);
    const listeners = [{ protocol: 'http' as const, listen: `unix:${paths.http}` }, { protocol: 'tcp' as const, listen: `unix:${paths.tcp}`, service: 'db', namespace: 'pay', port: 80 }];
    addWorkload(client, 'shop', 'web', { outbound: more ? [...listeners, { protocol: 'http', listen: `unix:${mesh.socketPath('more')}` }] : listeners });
    const endpoint = (port: number) => ({ port, spiffeId: workloadUri('pay', 'all'), address: ADDRESS, hbone });
    addService(client, 'pay', 'api', 'http', [endpoint(httpPort)]);
    addService(client, 'pay', 'rpc', 'http2', [endpoint(h2Port)]);
    addService(client, 'pay', 'db', 'tcp', [endpoint(tcpPort)]);
    if (more) addService(client, 'pay', 'late', 'http', [endpoint(spare)]);
    const server = baseEntries(mesh.operator.ca.root);
    const inbound = [{ port: httpPort, protocol: 'http' as const, app }, { port: h2Port, protocol: 'http2' as const, app: h2.address }, { port: tcpPort, protocol: 'tcp' as const, app: tcp }];
    addWorkload(server, 'pay', 'all', { address: ADDRESS, hbonePort: hbone, inbound: more ? [...inbound, { port: spare, protocol: 'http', app }] : inbound }, { port: httpPort });
    if (more) addPolicy(server, 'pay', 'no-admin', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin'], ports: [String(httpPort)] } }] }] });
    return { client, server };
  };
  const [client, server] = [new ChildProxy(mesh, 'a'), new ChildProxy(mesh, 'b')];
  let more = false;
  const change = async () => {
    more = !more;
    const next = entries(more);
    await Promise.all([client.configure(next.client), server.configure(next.server)]);
    mesh.operator.acks.length = 0;
    mesh.operator.reports.length = 0;
  };
  await change();
  return {
    mesh, client, server, ...paths, address: ADDRESS, port: httpPort, ports: { http: httpPort, h2: h2Port, tcp: tcpPort, hbone }, change,
    close: () => Promise.all([client.stop(), server.stop()]).then(h2.close).then(() => mesh.close()),
  };
}

async function http2App(mesh: TestMesh): Promise<{ address: string; close: () => void }> {
  const app = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  app.on('session', (session) => {
    sessions.add(session.on('error', () => undefined));
    session.once('close', () => sessions.delete(session));
  });
  app.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  app.listen(mesh.socketPath('h2'));
  await once(app, 'listening');
  return {
    address: `unix:${mesh.socketPath('h2')}`,
    close: () => {
      app.close();
      for (const session of sessions) session.destroy();
    },
  };
}
