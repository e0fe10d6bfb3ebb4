import type { FlowReason } from '@sallyport/shared/mesh';
import { decide, type Decision, type ShadowMatch } from '@sallyport/shared/policy';
import type { Authorizers } from '../ext-authz/authorizers.ts';
import { dialPlaintext } from '../listener/dial.ts';
import { type InboundHandler, type InboundTarget, inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import type { Link } from '../link/link.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { CountedCall, Recorder } from '../telemetry/recorder.ts';
import { OpenCalls } from './open-calls.ts';

const ONE = { count: 1, bytesReceived: 0, bytesSent: 0 };
const MAX_ROUNDS = 10;

/** A connection that is allowed, and the configuration that allows it. */
interface Admitted {
  readonly facts: FlowFacts;
  readonly target: InboundTarget;
  readonly shadow: readonly ShadowMatch[];
}

/** Serves a TCP port: each connection is decided once, and again whenever the policy changes. */
export class InboundTcp implements InboundHandler {
  readonly #target: () => InboundTarget;
  readonly #recorder: Recorder;
  readonly #authorizers: Authorizers;
  readonly #open: OpenCalls;

  constructor(target: () => InboundTarget, recorder: Recorder, authorizers: Authorizers) {
    this.#authorizers = authorizers;
    this.#target = target;
    this.#recorder = recorder;
    this.#open = new OpenCalls(recorder);
  }

  accept(connection: PeerConnection): void {
    this.#serve(connection).catch((error: unknown) => {
      connection.link.destroy();
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
    const span = this.#recorder.connectionSpan();
    let admitted = await this.#judge(peer, span.whole);
    if (!admitted) return peer.link.destroy();
    let app: Link;
    try {
      app = await dialPlaintext(admitted.target.app, true);
    } catch (error) {
      const { facts } = admitted;
      this.#recorder.record({ facts: { ...facts, verdict: 'failed', reason: 'upstream-unreachable' }, amounts: ONE, ...span.whole });
      this.#recorder.unreachable(facts, (error as Error).message);
      return peer.link.destroy();
    }
    // The policy may have changed while the application was being reached.
    while (admitted && this.#target() !== admitted.target) admitted = await this.#judge(peer, span.whole);
    // Nobody may be left to serve after the wait.
    if (!admitted || peer.link.destroyed) {
      app.destroy();
      return peer.link.destroy();
    }
    this.#recorder.shadow(admitted.shadow, admitted.facts.destination);
    this.#recorder.record({ facts: admitted.facts, amounts: ONE, ...span.begun });
    const allowed = async () => (await this.#judge(peer, span.begun)) !== null;
    this.#open.join(peer.link, app, { facts: admitted.facts, retireAt: peer.retireAt, allowed, ...span.endsAt(null) });
  }

  /** What became of a connection under what the port serves now; null when it is denied, which is recorded. */
  async #judge(peer: PeerConnection, traced: Pick<CountedCall, 'trace'>): Promise<Admitted | null> {
    for (let round = 1; ; round += 1) {
      const target = this.#target();
      const { workload, port } = target;
      const source = { principal: peer.principal, ip: peer.ip };
      const decision = decide(workload.policy, { protocol: 'tcp', source, destination: { ip: peer.localIp, port }, ...(peer.sni === undefined ? {} : { sni: peer.sni }) });
      const facts: FlowFacts = { ...inboundFacts(target, peer.principal, peer.ip), policy: decision.policy };
      const reason = decision.effect === 'ASK' ? await this.#ask(decision, peer, target) : decision.reason;
      const current = this.#target() === target;
      if (current && reason === null && decision.effect !== 'DENY') return { facts, target, shadow: decision.shadow };
      // Whoever was asked answered about a configuration that is gone. When that happens on and on, nobody is let in.
      if (!current && round < MAX_ROUNDS) continue;
      this.#recorder.shadow(decision.shadow, facts.destination);
      this.#recorder.record({ facts: { ...facts, verdict: 'denied', reason: reason ?? 'authorizer-unavailable' }, amounts: ONE, ...traced });
      return null;
    }
  }

  /** Why an authorizer does not let a connection in; null when it does. One that speaks HTTP cannot be asked about bytes. */
  async #ask({ provider }: Decision, { link, principal, ip, localIp }: PeerConnection, { workload, port }: InboundTarget): Promise<FlowReason | null> {
    const authorizer = this.#authorizers.get(provider ?? '');
    if (authorizer === null) return 'authorizer-unavailable';
    const { kind } = await authorizer.ask({ source: { principal, ip, port: link.remotePort ?? 0 }, destination: { principal: workload.spiffeId, ip: localIp, port } });
    if (kind === 'allow') return null;
    return kind === 'deny' ? 'authorizer-denied' : 'authorizer-unavailable';
  }
}
