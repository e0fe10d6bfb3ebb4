import http2 from 'node:http2';
import net from 'node:net';
import { CliFailure, EXIT } from './failure.ts';

const WAIT_MS = 10_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const PREFIX = 5;

/**
 * The first answer of a method of the SPIFFE Workload API.
 *
 * @param endpoint `unix:///path`, as in SPIFFE_ENDPOINT_SOCKET
 * @throws CliFailure saying what the endpoint answered instead
 */
export function firstAnswer(endpoint: string, method: string, request: Buffer): Promise<Buffer> {
  const path = /^unix:\/\/(\/[^?#]+)$/.exec(endpoint)?.[1];
  if (path === undefined) throw new CliFailure(EXIT.usage, `"${endpoint}" is no address of a Workload API`, 'give unix:///path/of/the/socket');
  return new Promise<Buffer>((resolve, reject) => {
    const unreachable = (why: string) => reject(new CliFailure(EXIT.unreachable, `the Workload API at ${path} ${why}`, 'check the path (SPIFFE_ENDPOINT_SOCKET), and that the proxy runs with SALLYPORT_WORKLOAD_API_LISTEN'));
    const session = http2.connect('http://localhost', { createConnection: () => net.connect(path) });
    session.once('error', (error) => unreachable(`cannot be reached: ${error.message}`));
    const stream = session.request({ ':method': 'POST', ':path': `/SpiffeWorkloadAPI/${method}`, 'content-type': 'application/grpc', te: 'trailers', 'workload.spiffe.io': 'true' });
    const refused = (headers: http2.IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined && headers['grpc-status'] !== '0') reject(refusal(String(headers['grpc-status']), String(headers['grpc-message'] ?? '')));
    };
    const found = (message: Buffer) => {
      resolve(message);
      session.destroy();
    };
    let answer = Buffer.alloc(0);
    stream.once('response', refused).once('trailers', refused).on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      const length = answer.length < PREFIX ? MAX_ANSWER_BYTES : answer.readUInt32BE(1);
      if (answer.length > MAX_ANSWER_BYTES) unreachable('sent too much');
      else if (answer.length >= PREFIX + length) found(answer.subarray(PREFIX, PREFIX + length));
    });
    stream.once('error', (error) => unreachable(`broke off: ${error.message}`)).once('close', () => {
      unreachable('gave no answer');
      session.destroy();
    });
    stream.setTimeout(WAIT_MS, () => unreachable('did not answer in time'));
    const prefix = Buffer.alloc(PREFIX);
    prefix.writeUInt32BE(request.length, 1);
    stream.end(Buffer.concat([prefix, request]));
  });
}

function refusal(status: string, message: string): CliFailure {
  const remedy = status === '7' ? 'name your user ID in spec.workloadApi of a Workload that this proxy serves' : 'see the log of the proxy';
  return new CliFailure(EXIT.refused, `the Workload API refused: ${decodeURIComponent(message)}`, remedy);
}
