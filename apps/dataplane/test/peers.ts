import net from 'node:net';
import tls from 'node:tls';
import { described } from '../src/wire/h2/frames.fixture.ts';
import { workloadUri } from './certificates.ts';
import type { Pair } from './pair.ts';
import { RawClient } from './raw-client.ts';

export interface PeerOptions {
  /** Whose certificate it shows; plaintext without one. */
  readonly as?: string;
  /** Where it connects from. */
  readonly from?: string;
  readonly to?: number;
  readonly alpn?: readonly string[];
}

/** A raw peer of the server's proxy, by mutual TLS or in plaintext. */
export function peerOf(pair: Pair, { as, from = '127.0.0.1', to = pair.port, alpn = [] }: PeerOptions = {}): RawClient {
  const socket = net.connect({ host: pair.address, port: to, localAddress: from });
  if (as === undefined) return new RawClient(socket);
  const { ca } = pair.mesh.operator;
  // A socket that breaks before the handshake says so here as well.
  socket.on('error', () => undefined);
  return new RawClient(tls.connect({ socket, ...ca.leaf(workloadUri('shop', as)), ca: ca.root, servername: '', checkServerIdentity: () => undefined, ALPNProtocols: [...alpn] }));
}

/** The frames that a peer got so far, as text. Those of which a part is missing come later. */
export function framesOf({ text }: RawClient): string[] {
  const bytes = Buffer.from(text, 'latin1');
  let whole = 0;
  while (whole + 9 <= bytes.length && whole + 9 + bytes.readUIntBE(whole, 3) <= bytes.length) whole += 9 + bytes.readUIntBE(whole, 3);
  return described([bytes.subarray(0, whole)]);
}
