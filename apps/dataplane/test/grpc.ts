import grpc from '@grpc/grpc-js';

const asItIs = (bytes: Buffer): Buffer => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> => ({
  path: `/test.Echo/${name}`, requestStream, responseStream, requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs,
});

/** A service of bytes with a method of each kind. */
const ECHO = { Unary: method('Unary', false, false), Collect: method('Collect', true, false), Repeat: method('Repeat', false, true), Talk: method('Talk', true, true) };

/** What the service saw end before its time. */
export const cancelled: string[] = [];

/** Serves {@link ECHO} on a Unix socket. `fail` as the request of `Unary` fails; `hang` is never answered. */
export async function echoServer(path: string): Promise<grpc.Server> {
  const server = new grpc.Server();
  server.addService(ECHO, {
    Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      call.on('cancelled', () => cancelled.push('Unary'));
      const text = call.request.toString();
      if (text === 'hang') return;
      const trailers = new grpc.Metadata();
      trailers.set('x-trailer', String(call.metadata.get('x-sent')));
      if (text === 'fail') answer({ code: grpc.status.DATA_LOSS, details: 'lost: 100 % –' });
      else answer(null, call.request, trailers);
    },
    Collect: (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => answer(null, Buffer.concat(parts)));
    },
    Repeat: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < 20; i += 1) call.write(call.request);
      call.end();
    },
    Talk: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('cancelled', () => cancelled.push('Talk'));
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}

type EchoClient = grpc.Client & {
  Unary(request: Buffer, metadata: grpc.Metadata, options: grpc.CallOptions, answered: grpc.requestCallback<Buffer>): grpc.ClientUnaryCall;
  Collect(answered: grpc.requestCallback<Buffer>): grpc.ClientWritableStream<Buffer>;
  Repeat(request: Buffer): grpc.ClientReadableStream<Buffer>;
  Talk(): grpc.ClientDuplexStream<Buffer, Buffer>;
};

/** A client whose calls enter at a Unix socket and go to `authority`. */
export function echoClient(path: string, authority: string): EchoClient {
  const Client = grpc.makeGenericClientConstructor(ECHO, 'Echo');
  return new Client(`unix:${path}`, grpc.credentials.createInsecure(), { 'grpc.default_authority': authority }) as unknown as EchoClient;
}

export interface Outcome {
  readonly code: grpc.status;
  readonly details: string;
  readonly answer: string | null;
  readonly trailers: grpc.Metadata;
}

/** One unary call with all that came of it. */
export function unary(client: EchoClient, text: string, metadata: Record<string, string> = {}, options: grpc.CallOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer: string | null = null;
    const sent = new grpc.Metadata();
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
    const call = client.Unary(Buffer.from(text), sent, options, (_error, value) => (answer = value?.toString() ?? null));
    call.on('status', ({ code, details, metadata: trailers }) => setImmediate(() => resolve({ code, details, trailers, answer })));
  });
}
