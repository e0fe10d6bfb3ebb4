import net from 'node:net';
import { field } from '../hpack/field.ts';
import { bind } from './peer.fixture.ts';

const OK = [field(':status', '200'), field('content-type', 'text/plain')];
const BODY = Buffer.from('hello from wire/h2\n');

/** A server for h2spec: answers each complete request, with a body unless it is HEAD. */
export async function serve(): Promise<net.Server> {
  const server = net.createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    const connection = bind<null>(socket, { role: 'server' }, {
      onHeaders: (stream, _, end) => {
        if (end) answer(stream);
      },
      onData: (stream, data, end) => {
        connection.consume(stream, data.length);
        if (end) answer(stream);
      },
      onTrailers: (stream) => answer(stream),
    });
    const answer = (stream: Parameters<typeof connection.respond>[0]): void => {
      connection.respond(stream, OK, stream.method === 'HEAD');
      connection.write(stream, BODY, true);
    };
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
