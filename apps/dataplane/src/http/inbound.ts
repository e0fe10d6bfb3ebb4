import type { Authorizers } from '../ext-authz/authorizers.ts';
import { formatAddress } from '../listener/address.ts';
import { dialPlaintext } from '../listener/dial.ts';
import { type InboundHandler, type InboundTarget, inboundFacts, type PeerConnection } from '../listener/inbound-port.ts';
import { OpenCalls } from '../tcp/open-calls.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { compileRemoval, type Removal } from '../wire/index.ts';
import type { UpstreamPool } from './exchange.ts';
import { H2Pool } from './h2-pool.ts';
import { Http1Pool } from './http1-pool.ts';
import { HttpServer } from './http-server.ts';
import { InboundCall, InboundPeer, type InboundService } from './inbound-call.ts';
import { Judge } from './judge.ts';
import { RESERVED } from './reserved.ts';
import { versionTo } from './route.ts';

/** What follows from a target, made once for all its calls. */
interface Prepared {
  readonly target: InboundTarget;
  readonly address: string;
  readonly pool: UpstreamPool;
  readonly trailers: Removal;
}

/** Serves an HTTP port: every request is decided by policy, then forwarded to the application in its normal form. */
export class InboundHttp implements InboundHandler, InboundService {
  readonly target: () => InboundTarget;
  readonly recorder: Recorder;
  readonly judge: Judge;
  readonly switched: OpenCalls;
  readonly #server = new HttpServer();
  #prepared: Prepared | null = null;

  constructor(target: () => InboundTarget, recorder: Recorder, authorizers: Authorizers) {
    this.judge = new Judge(authorizers);
    this.target = target;
    this.recorder = recorder;
    this.switched = new OpenCalls(recorder);
  }

  get closing(): boolean {
    return this.#server.closing;
  }

  accept(connection: PeerConnection): void {
    const peer = new InboundPeer(connection);
    this.#server.accept(connection.link, {
      call: (call) => new InboundCall(this, peer, call).begin(),
      malformed: () => this.#malformed(connection),
      defect: (error) => this.recorder.defect(error),
    });
  }

  recheck(): void {
    this.switched.recheck();
  }

  async close(grace: number): Promise<void> {
    await Promise.all([this.#server.close(grace), this.switched.close(grace)]);
    this.#prepared?.pool.retire();
  }

  pool(target: InboundTarget): UpstreamPool {
    return this.#prepare(target).pool;
  }

  trailers(target: InboundTarget): Removal {
    return this.#prepare(target).trailers;
  }

  #prepare(target: InboundTarget): Prepared {
    const before = this.#prepared;
    if (before?.target === target) return before;
    const { app, workload } = target;
    const address = formatAddress(app);
    const same = before?.address === address;
    if (!same) before?.pool.retire();
    const pool = before !== null && same ? before.pool : this.#createPool(target);
    // As a trailer, what only we may say would be read by some as if it were a header.
    const outputs = workload.authentication?.outputs;
    const trailers = outputs === undefined ? RESERVED : compileRemoval([...RESERVED.names, ...outputs], RESERVED.prefixes);
    this.#prepared = { target, address, pool, trailers };
    return this.#prepared;
  }

  /** Handlers are made anew when a port's protocol changes, so a pool's version never does. */
  #createPool({ app, protocol }: InboundTarget): UpstreamPool {
    const dial = () => dialPlaintext(app, false);
    const defect = (error: unknown) => this.recorder.defect(error);
    return versionTo(protocol, '1.1') === 2 ? new H2Pool(dial, defect) : new Http1Pool(dial, defect);
  }

  #malformed({ principal, ip }: PeerConnection): void {
    const facts: FlowFacts = { ...inboundFacts(this.target(), principal, ip), verdict: 'denied', reason: 'bad-request' };
    this.recorder.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
  }
}
