import net from 'node:net';
import { until } from './mesh.ts';

/** A client that says exactly what the test wants, byte by byte, and keeps what comes back. */
export class RawClient {
  readonly socket: net.Socket;
  text = '';
  closed = false;
  error: string | undefined;

  /** @param to a port, the path of a socket, or a socket that is connecting */
  constructor(to: number | string | net.Socket) {
    if (typeof to === 'object') this.socket = to;
    else this.socket = typeof to === 'number' ? net.connect(to, '127.0.0.1') : net.connect(to);
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    this.socket.once('close', () => {
      this.closed = true;
    });
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** Waits until the given text has come, and returns all that came. */
  async gets(text: string): Promise<string> {
    await until(`${JSON.stringify(text)} in ${JSON.stringify(this.text.slice(-300))}`, () => this.text.includes(text));
    return this.text;
  }

  /** Waits until the connection is closed, and returns all that came. */
  async end(): Promise<string> {
    await until('the end of the connection', () => this.closed);
    return this.text;
  }
}
