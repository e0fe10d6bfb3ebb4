import type { Socket } from 'node:net';
import { authorize } from '../authz/authorize.ts';
import { dialPlaintext } from '../listener/dial.ts';
import { type InboundHandler, type InboundTarget, inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { OpenCalls } from './open-calls.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };

/** Serves a TCP port: each connection is decided once, and again whenever the policy changes. */
export class InboundTcp implements InboundHandler {
  readonly #target: () => InboundTarget;
  readonly #recorder: Recorder;
  readonly #open: OpenCalls;

  constructor(target: () => InboundTarget, recorder: Recorder) {
    this.#target = target;
    this.#recorder = recorder;
    this.#open = new OpenCalls(recorder);
  }

  accept(connection: PeerConnection): void {
    this.#serve(connection).catch((error: unknown) => {
      connection.socket.destroy();
      this.#recorder.defect(error);
    });
  }

  recheck(): void {
    this.#open.recheck();
  }

  close(grace: number): Promise<void> {
    return this.#open.close(grace);
  }

  async #serve(peer: PeerConnection): Promise<void> {
    const facts = this.#decide(peer);
    if (!facts) return void peer.socket.destroy();
    let app: Socket;
    try {
      app = await dialPlaintext(this.#target().app, true);
    } catch (error) {
      this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason: 'upstream-unreachable' }, amounts: ONE, traceId: null });
      this.#recorder.unreachable(facts, (error as Error).message);
      return void peer.socket.destroy();
    }
    // The policy may have changed while the application was being reached.
    if (!this.#decide(peer)) {
      app.destroy();
      return void peer.socket.destroy();
    }
    this.#recorder.record({ facts, amounts: ONE, traceId: null });
    this.#open.join(peer.socket, app, facts, peer.retireAt, () => this.#decide(peer) !== null);
  }

  /** The facts of an allowed connection; null when it is denied, which is recorded. */
  #decide(peer: PeerConnection): FlowFacts | null {
    const target = this.#target();
    const { effect, reason, policy } = authorize(target.workload, target.port, peer, null).decision;
    const facts: FlowFacts = { ...inboundFacts(target, peer.principal, peer.ip), policy };
    if (effect === 'ALLOW') return facts;
    this.#recorder.record({ facts: { ...facts, verdict: 'denied', reason }, amounts: ONE, traceId: null });
    return null;
  }
}
