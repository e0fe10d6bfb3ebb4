import type { Socket } from 'node:net';
import { Connection, type Handler, type Options } from '../../apps/dataplane/src/wire/index.ts';

/** Binds a connection to a socket: all frames of a turn leave in one write. */
export function bind<T>(socket: Socket, role: Options['role'], handler: Partial<Handler<T>>): Connection<T> {
  const nothing = (): void => undefined;
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (socket.destroyed || socket.writableNeedDrain) return;
    const pieces = connection.takeOutput();
    if (pieces.length === 1) socket.write(pieces[0]!);
    else if (pieces.length > 1) {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
  };
  const connection: Connection<T> = new Connection<T>({ role, maxStreams: 1000 }, {
    onHeaders: nothing, onData: nothing, onTrailers: nothing, onReset: nothing, onDrain: nothing, onGoAway: nothing, onRefused: nothing, onClosed: nothing,
    ...handler,
    onOutput: () => {
      if (!scheduled) setImmediate(flush);
      scheduled = true;
    },
  });
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => connection.receive(chunk));
  socket.on('drain', flush);
  socket.on('error', () => socket.destroy());
  connection.start();
  return connection;
}
