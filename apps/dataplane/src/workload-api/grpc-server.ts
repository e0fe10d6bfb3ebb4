import type { Socket } from 'node:net';
import { type Connection, ERROR, field, type MessageHead, type Stream } from '../wire/index.ts';
import { encodeStatusMessage, frameMessage, GrpcError, MessageReader, STATUS } from './grpc.ts';
import { overSocket } from './h2-socket.ts';

/** Requests of the Workload API are short: the longest carries a token. */
const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_STREAMS = 32;

/** A method that answers once. @throws GrpcError */
type Unary = (request: Buffer) => Promise<Buffer>;
/** A method that goes on answering: `send` with the complete state, `fail` when there is none any more. Returns what ends it. */
export type Streaming = (send: (message: Buffer) => void, fail: (error: unknown) => void) => () => void;

export interface GrpcMethods {
  readonly unary: Readonly<Record<string, Unary>>;
  readonly streaming: Readonly<Record<string, Streaming>>;
}

/** What is looked at before the method is: its metadata by name. @throws GrpcError */
export type Guard = (metadata: ReadonlyMap<string, string>) => void;

const fieldOf = (name: string, value: string) => field(name, value);

/** One call. The newest state waits when the caller reads slowly; older ones are dropped, because each is complete. */
class Call {
  readonly reader = new MessageReader(MAX_REQUEST_BYTES);
  readonly path: string;
  stop: () => void = () => undefined;
  begun = false;
  #waiting: Buffer | null = null;
  #blocked = false;
  readonly #connection: Connection<Call>;
  readonly #stream: Stream<Call>;

  constructor(path: string, connection: Connection<Call>, stream: Stream<Call>) {
    this.path = path;
    this.#connection = connection;
    this.#stream = stream;
  }

  send(message: Buffer): void {
    if (this.#blocked) {
      this.#waiting = message;
      return;
    }
    const stream = this.#stream;
    this.#connection.respond(stream, [fieldOf(':status', '200'), fieldOf('content-type', 'application/grpc')], false);
    this.#blocked = !this.#connection.write(stream, frameMessage(message), false);
  }

  drained(): void {
    this.#blocked = false;
    const message = this.#waiting;
    this.#waiting = null;
    if (message) this.send(message);
  }

  finish(error: unknown): void {
    this.stop();
    const stream = this.#stream;
    const { code, message } = error === null ? { code: STATUS.OK, message: '' } : failureOf(error);
    const status = [fieldOf('grpc-status', String(code)), ...(message === '' ? [] : [fieldOf('grpc-message', encodeStatusMessage(message))])];
    if (stream.headSent) this.#connection.trailers(stream, status);
    // gRPC over HTTP/2, "Trailers-Only": a call that fails at once answers with one block of headers.
    else this.#connection.respond(stream, [fieldOf(':status', '200'), fieldOf('content-type', 'application/grpc'), ...status], true);
  }
}

function failureOf(error: unknown): { code: number; message: string } {
  if (error instanceof GrpcError) return error;
  return { code: STATUS.INTERNAL, message: 'the proxy failed to answer; see its log' };
}

/** Serves gRPC on one connection. */
export function serveGrpc(socket: Socket, service: string, methods: GrpcMethods, guard: Guard, defect: (error: unknown) => void): void {
  const begin = (call: Call, request: Buffer): void => {
    call.begun = true;
    const name = call.path.slice(service.length + 2);
    const unary = Object.hasOwn(methods.unary, name) ? methods.unary[name] : undefined;
    const streaming = Object.hasOwn(methods.streaming, name) ? methods.streaming[name] : undefined;
    if (call.path !== `/${service}/${name}` || (!unary && !streaming)) return call.finish(new GrpcError(STATUS.UNIMPLEMENTED, `no method ${name.slice(0, 100)}`));
    if (streaming) call.stop = streaming((message) => call.send(message), (error) => call.finish(noted(error)));
    else if (unary) unary(request).then((answer) => (call.send(answer), call.finish(null)), (error: unknown) => call.finish(noted(error)));
  };
  const noted = (error: unknown): unknown => {
    if (!(error instanceof GrpcError)) defect(error);
    return error;
  };
  const connection: Connection<Call> = overSocket<Call>(socket, { role: 'server', maxStreams: MAX_STREAMS }, {
    onHeaders: (stream, head, end) => {
      const call = new Call(head.path, connection, stream);
      stream.owner = call;
      const problem = problemOf(head, guard);
      if (problem) call.finish(problem);
      else if (end) call.finish(new GrpcError(STATUS.INVALID_ARGUMENT, 'the request has no message'));
    },
    onData: (stream, data) => {
      connection.consume(stream, data.length);
      const call = stream.owner;
      if (!call || call.begun || stream.localEnded) return;
      try {
        const [request] = call.reader.take(data);
        if (request) begin(call, request);
      } catch (error) {
        call.finish(noted(error));
        connection.reset(stream, ERROR.NO_ERROR);
      }
    },
    onReset: (stream) => stream.owner?.stop(),
    onDrain: (stream) => stream.owner?.drained(),
  });
}

function problemOf(head: MessageHead, guard: Guard): GrpcError | null {
  const metadata = new Map(head.fields.slice(head.regular).map(({ name, value }) => [name, value]));
  if (head.method !== 'POST' || !(metadata.get('content-type') ?? '').startsWith('application/grpc')) return new GrpcError(STATUS.UNKNOWN, 'this is no gRPC call');
  try {
    guard(metadata);
    return null;
  } catch (error) {
    return error instanceof GrpcError ? error : new GrpcError(STATUS.INTERNAL, 'the call cannot be looked at');
  }
}
