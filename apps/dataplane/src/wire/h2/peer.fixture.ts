import type { Duplex } from 'node:stream';
import type { Field } from '../hpack/field.ts';
import { Connection } from './connection.ts';
import type { Handler, Options } from './handler.ts';
import type { MessageHead } from './message.ts';

/** Binds a connection to a socket: one write for all that a turn gave, none while the socket is full. For tests alone. */
export function bind<T>(socket: Duplex, options: Pick<Options, 'role'> & Partial<Options>, handler: Partial<Handler<T>>): Connection<T> {
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (socket.destroyed || socket.writableNeedDrain) return;
    socket.cork();
    for (const piece of connection.takeOutput()) socket.write(piece);
    socket.uncork();
  };
  const connection: Connection<T> = new Connection<T>(options, {
    ...silent<T>(),
    ...handler,
    onOutput: () => {
      if (scheduled) return;
      scheduled = true;
      setImmediate(flush);
    },
    onClosed: (code, reason) => {
      handler.onClosed?.(code, reason);
      setImmediate(() => {
        flush();
        socket.end();
      });
    },
  });
  socket.on('data', (chunk: Buffer) => connection.receive(chunk));
  socket.on('drain', flush);
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  connection.start();
  return connection;
}

/** A handler that does nothing. */
export function silent<T>(): Handler<T> {
  const nothing = (): void => undefined;
  return { onHeaders: nothing, onData: nothing, onTrailers: nothing, onReset: nothing, onDrain: nothing, onGoAway: nothing, onRefused: nothing, onClosed: nothing, onOutput: nothing };
}

/** What a connection told, as text, with adjoining data of a stream joined. */
export interface Told {
  readonly events: string[];
  readonly handler: Handler<null>;
}

export function recording(): Told {
  const events: string[] = [];
  const say = (event: string): void => void events.push(event);
  const handler: Handler<null> = {
    onHeaders: (stream, head, end) => say(`${stream.id} ${startOf(head)} ${listed(head.fields.slice(head.regular))}${end ? ' end' : ''}`),
    onData: (stream, data, end) => {
      const start = `${stream.id} data `;
      const last = events.at(-1);
      const text = `${data.toString('latin1')}${end ? ' end' : ''}`;
      if (last?.startsWith(start)) events[events.length - 1] = `${last}${text}`;
      else say(`${start}${text}`);
    },
    onTrailers: (stream, fields) => say(`${stream.id} trailers ${listed(fields)}`),
    onReset: (stream, code, retryable) => say(`${stream.id} reset ${code}${retryable ? ' retryable' : ''}`),
    onDrain: (stream) => say(`${stream.id} drain`),
    onGoAway: (code, debug) => say(`goaway ${code} ${debug}`),
    onRefused: (reason) => say(`refused ${reason}`),
    onClosed: (code, reason) => say(`closed ${code} ${reason}`),
    onOutput: () => undefined,
  };
  return { events, handler };
}

function startOf({ method, scheme, authority, path, status }: MessageHead): string {
  return status > 0 ? String(status) : `${method} ${scheme} ${authority} ${path}`;
}

function listed(fields: readonly Field[]): string {
  return fields.map(({ name, value }) => `${name}=${value}`).join(',');
}
