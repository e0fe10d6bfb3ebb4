import { decidedAs, type PortProtocol } from '@sallyport/shared/mesh';
import { peek } from '../link/peek.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { readSpoken, type Spoken, TCP } from './first-bytes.ts';
import { type InboundHandler, type InboundTarget, inboundFacts, type PeerConnection } from './inbound-port.ts';

/** A client that waits for the server to speak is let through to it after this long, as TCP. */
const WAIT_MS = 3_000;

type CreateHandler = (target: () => InboundTarget) => InboundHandler;

/** Serves a port whose protocol each connection tells by its first bytes: `auto`, and `tls` for the name that is asked for. */
class InboundSniffed implements InboundHandler {
  readonly #target: () => InboundTarget;
  readonly #recorder: Recorder;
  readonly #handlers: Readonly<Record<'http1' | 'http2' | 'tcp', InboundHandler>>;

  constructor(target: () => InboundTarget, recorder: Recorder, http: CreateHandler, tcp: CreateHandler) {
    this.#target = target;
    this.#recorder = recorder;
    // The application is spoken to in the version that it is called by: nobody said which it takes.
    this.#handlers = { http1: http(served(target, 'http')), http2: http(served(target, 'http2')), tcp: tcp(served(target, 'tcp')) };
  }

  accept(connection: PeerConnection): void {
    this.#serve(connection).catch((error: unknown) => {
      connection.link.destroy();
      this.#recorder.defect(error);
    });
  }

  recheck(): void {
    for (const handler of Object.values(this.#handlers)) handler.recheck();
  }

  async close(grace: number): Promise<void> {
    await Promise.all(Object.values(this.#handlers).map((handler) => handler.close(grace)));
  }

  async #serve(connection: PeerConnection): Promise<void> {
    const peeked = await peek<Spoken>(connection.link, WAIT_MS, readSpoken, TCP);
    if (peeked === null) return;
    const { told, link } = peeked;
    const { protocol } = this.#target();
    const spoken = { ...connection, link };
    if (told.protocol === 'tls') return this.#handlers.tcp.accept(told.serverName === null ? spoken : { ...spoken, sni: told.serverName });
    if (protocol === 'auto') return this.#handlers[told.protocol].accept(spoken);
    // Whoever speaks no TLS on a port that is declared to is not what the policies of that port are about.
    this.#refuse(connection);
  }

  #refuse({ link, principal, ip }: PeerConnection): void {
    const facts = { ...inboundFacts(this.#target(), principal, ip), verdict: 'denied' as const, reason: 'bad-request' as const };
    this.#recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
    link.destroy();
  }
}

/** What a handler is told that serves but a part of the port's connections; the same object for the same target. */
function served(target: () => InboundTarget, protocol: PortProtocol): () => InboundTarget {
  let last: { readonly of: InboundTarget; readonly made: InboundTarget } | null = null;
  return () => {
    const of = target();
    if (last?.of !== of) last = { of, made: { ...of, protocol } };
    return last.made;
  };
}

/** The handler for what is declared of a port. */
export function inboundHandler(target: () => InboundTarget, recorder: Recorder, http: CreateHandler, tcp: CreateHandler): InboundHandler {
  const { protocol } = target();
  if (protocol === 'tls' || protocol === 'auto') return new InboundSniffed(target, recorder, http, tcp);
  return decidedAs(protocol)[0] === 'http' ? http(target) : tcp(target);
}
