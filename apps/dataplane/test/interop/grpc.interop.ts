import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workloadUri } from '../certificates.ts';
import { addService, addWorkload, baseEntries, freePort, TestMesh, until } from '../mesh.ts';
import { goProgram, isSkipped } from '../programs.ts';

/** gRPC's own client and server: https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md */
const client = await goProgram('google.golang.org/grpc/interop/client');
const server = await goProgram('google.golang.org/grpc/interop/server');
const pathOf = (program: typeof client) => ('path' in program ? program.path : '');

/** An address of its own, as a workload has where each has one. */
const ADDRESS = '127.0.0.9';

/** What the client can run without credentials of a cloud, without xDS and within seconds. */
const CASES = [
  'empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream', 'timeout_on_sleeping_server',
  'cancel_after_begin', 'cancel_after_first_response', 'status_code_and_message', 'special_status_message', 'custom_metadata',
  'unimplemented_method', 'unimplemented_service', 'rpc_soak',
];

const skipped = isSkipped('gRPC’s interop suite', client, server);

describe.skipIf(skipped).each([['mutual TLS on the port', false], ['HBONE', true]])('gRPC’s own client and server through two proxies, by %s', (_, tunnelled) => {
  let mesh: TestMesh;
  let app: ChildProcess;

  beforeAll(async () => {
    const [appPort, port, hbone] = [await freePort(), await freePort(), await freePort()];
    app = spawn(pathOf(server), ['--port', String(appPort)], { stdio: 'ignore' });
    mesh = await TestMesh.start();
    const caller = baseEntries(mesh.operator.ca.root);
    addWorkload(caller, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
    // The client cannot be told an authority, and to a Unix socket it says this one.
    addService(caller, 'shop', 'localhost', 'grpc', [{ port, address: ADDRESS, spiffeId: workloadUri('pay', 'interop'), hbone: tunnelled ? hbone : null }]);
    const callee = baseEntries(mesh.operator.ca.root);
    addWorkload(callee, 'pay', 'interop', { address: ADDRESS, hbonePort: tunnelled ? hbone : 0, inbound: [{ port, protocol: 'grpc', app: `127.0.0.1:${appPort}` }] }, { port });
    await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
    await Promise.all([mesh.configure('a', caller), mesh.configure('b', callee)]);
    await until('the server to listen', () => isListening(appPort));
  });
  afterAll(async () => {
    app.kill();
    await mesh.close();
  });

  it.each(CASES)('%s', async (name) => {
    const child = spawn(pathOf(client), ['--server_host', `unix://${mesh.socketPath('out')}`, '--server_port', '0', '--test_case', name]);
    const closed = new Promise((resolve) => child.once('close', resolve));
    const [output, code] = await Promise.all([text(child.stderr), closed]);
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
  });

  it('had them carried as it says', async () => {
    const tunnels = await mesh.metric('a', 'sallyport_proxy_hbone_connections{side="outbound"}');
    expect(tunnels > 0).toBe(tunnelled);
  });
});

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
