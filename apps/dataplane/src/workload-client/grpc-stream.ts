import net from 'node:net';
import { decodeStatusMessage, frameMessage, GrpcError, MessageReader, SECURITY_HEADER, SERVICE, STATUS } from '../workload-api/grpc.ts';
import { overSocket } from '../workload-api/h2-socket.ts';
import { type Connection, ERROR, field, type Field, type MessageHead, type Stream } from '../wire/index.ts';

/** What gRPC implementations take at most unless they are told otherwise. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Workload API §4.3: the first answer "MUST be sent as soon as possible, without delay". */
const FIRST_ANSWER_MS = 10_000;

/** What a call tells. `ended` is called once, and nothing after it. */
export interface StreamEvents {
  /** @throws nothing */
  readonly message: (bytes: Buffer) => void;
  readonly ended: (error: GrpcError) => void;
}

/** One call of a streaming method of the SPIFFE Workload API, by gRPC over HTTP/2 on a connection of its own. */
export class WorkloadApiCall {
  readonly #socket: net.Socket;
  readonly #connection: Connection<null>;
  readonly #events: StreamEvents;
  readonly #reader = new MessageReader(MAX_MESSAGE_BYTES);
  readonly #patience: NodeJS.Timeout;
  #over = false;

  /** @param path the Unix socket. @param method name of the method; its request is empty */
  constructor(path: string, method: string, events: StreamEvents) {
    this.#events = events;
    this.#socket = net.connect({ path });
    // Before the connection listens: its own listener destroys the socket, and the reason would be lost.
    this.#socket.once('error', (error: NodeJS.ErrnoException) => this.#end(STATUS.UNAVAILABLE, `${path} cannot be reached (${error.code ?? error.message})`));
    this.#connection = overSocket<null>(this.#socket, { role: 'client' }, {
      onHeaders: (_stream, head, end) => this.#headers(head, end),
      onData: (stream, data) => this.#data(stream, data),
      onTrailers: (_stream, fields) => this.#status(fields),
      onReset: (_stream, code) => this.#end(STATUS.UNAVAILABLE, `the stream was reset (${code})`),
      onClosed: (_code, reason) => this.#end(STATUS.UNAVAILABLE, `${path}: ${reason}`),
    });
    this.#patience = setTimeout(() => this.#end(STATUS.UNAVAILABLE, `no answer within ${FIRST_ANSWER_MS / 1000} s`), FIRST_ANSWER_MS);
    this.#patience.unref();
    this.#open(method);
  }

  /** Gives the call up; nothing is told any more. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#patience);
    this.#socket.destroy();
  }

  #open(method: string): void {
    const pseudo = [field(':method', 'POST'), field(':scheme', 'http'), field(':path', `/${SERVICE}/${method}`), field(':authority', 'localhost')];
    const rest = [field('content-type', 'application/grpc'), field('te', 'trailers'), field(SECURITY_HEADER.name, SECURITY_HEADER.value)];
    const stream = this.#connection.open([...pseudo, ...rest], false);
    if (stream) this.#connection.write(stream, frameMessage(Buffer.alloc(0)), true);
  }

  #headers({ status, fields, regular }: MessageHead, end: boolean): void {
    if (status < 200) return;
    if (end) return this.#status(fields.slice(regular));
    // gRPC over HTTP/2, "Responses": anything but 200 comes from something that speaks no gRPC.
    if (status !== 200) this.#end(STATUS.UNAVAILABLE, `it answers HTTP ${status} and is no Workload API`);
  }

  #data(stream: Stream<null>, data: Buffer): void {
    this.#connection.consume(stream, data.length);
    if (this.#over) return;
    try {
      for (const message of this.#reader.take(data)) {
        clearTimeout(this.#patience);
        this.#events.message(message);
      }
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      this.#connection.reset(stream, ERROR.NO_ERROR);
      this.#end(error.code === STATUS.UNIMPLEMENTED ? STATUS.UNAVAILABLE : error.code, error.message);
    }
  }

  #status(fields: readonly Field[]): void {
    const of = (name: string) => fields.find((each) => each.name === name)?.value;
    const code = /^\d{1,2}$/.test(of('grpc-status') ?? '') ? Number(of('grpc-status')) : STATUS.UNKNOWN;
    const text = decodeStatusMessage(of('grpc-message') ?? '');
    this.#end(code, text === '' ? `the stream ended with status ${code}` : text);
  }

  #end(code: number, message: string): void {
    if (this.#over) return;
    this.close();
    this.#events.ended(new GrpcError(code, message));
  }
}
