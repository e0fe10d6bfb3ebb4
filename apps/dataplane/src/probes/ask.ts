import http, { type RequestOptions } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { AppProbe } from '@sallyport/shared/push';
import type { Outcome } from './outcome.ts';

/** Asks the application what its probe says, as the kubelet would, and not for longer. */
export async function askApp(probe: AppProbe, host: string): Promise<Outcome> {
  const signal = AbortSignal.timeout(probe.timeout * 1000);
  try {
    if (probe.kind === 'http') return await askHttp(probe, host, signal);
    if (probe.kind === 'tcp') return await askTcp(probe.port, host, signal);
    // Loaded by who has such a probe, and by nobody else: gRPC's library is larger than all the rest.
    const { askHealth } = await import('./grpc-health.ts');
    return await askHealth(probe, host);
  } catch (error) {
    const why = signal.aborted ? `no answer within ${probe.timeout} s` : ((error as NodeJS.ErrnoException).code ?? 'failed');
    return { healthy: false, why };
  }
}

/** core/v1 HTTPGetAction: "Any code greater than or equal to 200 and less than 400 indicates success." */
async function askHttp(probe: Extract<AppProbe, { kind: 'http' }>, host: string, signal: AbortSignal): Promise<Outcome> {
  const options: RequestOptions = { host, port: probe.port, path: probe.path, agent: false, signal, setHost: false, headers: headersOf(probe, host) };
  // "If scheme is HTTPS, the kubelet skips certificate verification": it is the pod's own address.
  const send = probe.scheme === 'HTTPS' ? (done: (answer: http.IncomingMessage) => void) => https.get({ ...options, rejectUnauthorized: false }, done) : (done: (answer: http.IncomingMessage) => void) => http.get(options, done);
  const status = await new Promise<number>((resolve, reject) => {
    const request = send((answer) => {
      resolve(answer.statusCode ?? 0);
      // What else it says is nobody's business here.
      answer.destroy();
    });
    request.on('error', reject);
  });
  return status >= 200 && status < 400 ? { healthy: true } : { healthy: false, why: `the application answers ${status}` };
}

function headersOf({ headers, port }: Extract<AppProbe, { kind: 'http' }>, host: string): string[] {
  const has = (name: string) => headers.some((header) => header.name.toLowerCase() === name);
  const address = host.includes(':') ? `[${host}]` : host;
  const own = [['host', `${address}:${port}`], ['user-agent', 'kube-probe/sallyport'], ['accept', '*/*'], ['connection', 'close']] as const;
  return [...own.filter(([name]) => !has(name)).flat(), ...headers.flatMap(({ name, value }) => [name, value])];
}

/** core/v1 TCPSocketAction: an open port is all that is asked for. */
async function askTcp(port: number, host: string, signal: AbortSignal): Promise<Outcome> {
  const socket = net.connect({ host, port, signal });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).on('error', reject);
    });
    return { healthy: true };
  } finally {
    socket.destroy();
  }
}
