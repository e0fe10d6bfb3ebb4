import type { Question } from '../ext-authz/answer.ts';
import type { InboundTarget, PeerConnection } from '../listener/inbound-port.ts';
import type { RequestMessage } from './exchange.ts';
import { RESERVED } from './reserved.ts';
import { type HeaderPair, setHeaders } from './headers.ts';

/** One request, as it came. */
export class JudgedRequest {
  readonly peer: PeerConnection;
  readonly message: RequestMessage;
  readonly id: string;
  #headers: readonly HeaderPair[] | null = null;

  constructor(peer: PeerConnection, message: RequestMessage, id: string) {
    this.peer = peer;
    this.message = message;
    this.id = id;
  }

  /** End-to-end headers without those that no peer may send. Made when somebody asks: most requests pass unread. */
  get headers(): readonly HeaderPair[] {
    return (this.#headers ??= this.message.fields(RESERVED));
  }
}

/** What an authorizer is asked about a request. `asked` is its target in normal form. */
export function questionAbout({ peer, id, message, headers }: JudgedRequest, asked: string, { workload, port }: InboundTarget): Question {
  const own: HeaderPair[] = [
    ['x-forwarded-for', forwardedFor(headers, peer.ip, workload.policy.mesh.numTrustedProxies)],
    ['x-forwarded-proto', peer.principal === null ? 'http' : 'https'],
  ];
  // As for the application: who we are, and who the verified peer is.
  if (peer.principal !== null) own.push(['x-forwarded-client-cert', `By=${workload.spiffeId};URI=${peer.principal}`]);
  const claimed = workload.authentication?.outputs;
  const sound = claimed === undefined ? headers : headers.filter(([name]) => !claimed.has(name.toLowerCase()));
  const { method, host, size } = message;
  return {
    source: { principal: peer.principal, ip: peer.ip, port: peer.link.remotePort ?? 0 },
    destination: { principal: workload.spiffeId, ip: peer.localIp, port },
    http: { id, method, target: asked, host, size, headers: setHeaders(sound, own) },
  };
}

/** The chain of clients as far as somebody trusted wrote it, and the peer at its end. */
function forwardedFor(headers: readonly HeaderPair[], peer: string, trusted: number): string {
  const before = trusted === 0 ? [] : headers.filter(([name]) => name.toLowerCase() === 'x-forwarded-for').map(([, value]) => value);
  return [...before, peer].join(', ');
}
