import type { Socket } from 'node:net';
import { Connection, ERROR, type Handler, type Options } from '../wire/index.ts';

const TICK_MS = 1_000;
const NOTHING = (): void => undefined;
const SILENT = { onHeaders: NOTHING, onData: NOTHING, onTrailers: NOTHING, onReset: NOTHING, onDrain: NOTHING, onGoAway: NOTHING, onRefused: NOTHING, onClosed: NOTHING };

/** Binds an HTTP/2 connection to a socket: all frames of a turn leave in one write, and the end of one is the end of both. */
export function overSocket<T>(socket: Socket, options: Pick<Options, 'role'> & Partial<Options>, handler: Partial<Handler<T>>): Connection<T> {
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (socket.destroyed || socket.writableNeedDrain) return;
    const pieces = connection.takeOutput();
    if (pieces.length > 0) socket.write(Buffer.concat(pieces));
  };
  const connection = new Connection<T>(options, {
    ...SILENT,
    ...handler,
    onClosed: (code, reason) => {
      handler.onClosed?.(code, reason);
      setImmediate(() => {
        flush();
        socket.destroySoon();
      });
    },
    onOutput: () => {
      if (!scheduled) setImmediate(flush);
      scheduled = true;
    },
  });
  const timer = setInterval(() => connection.elapsed(TICK_MS / 1000), TICK_MS);
  timer.unref();
  socket.on('data', (chunk: Buffer) => connection.receive(chunk));
  socket.on('drain', flush);
  socket.on('error', () => socket.destroy());
  socket.once('end', () => socket.destroySoon());
  socket.once('close', () => {
    clearInterval(timer);
    connection.abort(ERROR.NO_ERROR, 'the socket is closed');
  });
  connection.start();
  return connection;
}
