import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { bind } from './bind.ts';
import { ANSWER, BODY } from './exchange.ts';

/** Serves the exchange by one of the engines and tells its port, and its CPU time when asked. */
function ours(): net.Server {
  return net.createServer((socket) => {
    const connection = bind<null>(socket, 'server', {
      onData: (stream, data, end) => {
        connection.consume(stream, data.length);
        if (!end) return;
        connection.respond(stream, ANSWER, false);
        connection.write(stream, BODY, true);
      },
    });
  });
}

function nodes(): http2.Http2Server {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': '1024' });
      stream.end(BODY);
    });
  });
  server.on('session', (session) => session.on('error', () => undefined));
  return server;
}

const server = process.argv[2] === 'ours' ? ours() : nodes();
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system });
});
process.on('disconnect', () => process.exit());
