import { Backoff } from '../backoff.ts';
import type { Svid } from '../identity/credentials.ts';
import type { Log } from '../telemetry/log.ts';
import { type GrpcError, STATUS } from '../workload-api/grpc.ts';
import { WorkloadApiCall } from './grpc-stream.ts';
import { NOTHING, readX509State, type X509State } from './x509-state.ts';

/** Workload API §4.2: after the end of a connection "the client SHOULD immediately establish a new connection". */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
/** Workload Endpoint, appendix A: "Report an error, don't retry." Everything else is tried again. */
const FINAL: readonly number[] = [STATUS.INVALID_ARGUMENT, STATUS.UNIMPLEMENTED];

export interface X509SourceOptions {
  /** Path of the Unix socket. */
  readonly path: string;
  readonly trustDomain: string;
  /** Called after each change of {@link X509Source.state}. */
  readonly changed: () => void;
  readonly log: Log;
}

/** How the Workload API stands; times in milliseconds since the epoch. */
export interface SourceStatus {
  readonly path: string;
  /** When the last message came that was taken. What it gave is held on to until it expires or is taken back. */
  readonly receivedAt: number | null;
  /** What is wrong now; null when nothing is. */
  readonly problem: string | null;
}

/** Follows a SPIFFE Workload API, such as that of a SPIRE agent: this process's X.509-SVIDs and the bundles to go with them. */
export class X509Source {
  readonly #options: X509SourceOptions;
  readonly #backoff = new Backoff(FIRST_RETRY_MS, LAST_RETRY_MS);
  #call: WorkloadApiCall | null = null;
  #retry: NodeJS.Timeout | undefined;
  #state: X509State | null = null;
  #receivedAt: number | null = null;
  #problem: string | null = 'no answer yet';

  constructor(options: X509SourceOptions) {
    this.#options = options;
  }

  /** The last good state; null before the first. */
  get state(): X509State | null {
    return this.#state;
  }

  get status(): SourceStatus {
    return { path: this.#options.path, receivedAt: this.#receivedAt, problem: this.#problem };
  }

  /** The SVID for an identity that is valid at `now`, or why there is none. */
  svidOf(spiffeId: string): Svid | string {
    const { path } = this.#options;
    if (!this.#state) return `Workload API ${path}: ${this.#problem}`;
    const refused = this.#state.refused.get(spiffeId);
    if (refused !== undefined) return `Workload API ${path} gives an SVID that cannot be used: ${refused}`;
    return this.#state.svids.get(spiffeId) ?? `Workload API ${path} has no SVID of that name for this proxy${this.#problem === null ? '' : ` (${this.#problem})`}; register it there`;
  }

  /** Asks, and asks again at once when it waits. */
  start(): void {
    clearTimeout(this.#retry);
    this.#call?.close();
    this.#call = new WorkloadApiCall(this.#options.path, 'FetchX509SVID', { message: (bytes) => this.#message(bytes), ended: (error) => this.#ended(error) });
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#call?.close();
    this.#call = null;
  }

  #message(bytes: Buffer): void {
    const { log, path, trustDomain } = this.#options;
    this.#backoff.reset();
    try {
      this.#state = readX509State(bytes, trustDomain, Date.now());
    } catch (error) {
      // §4.5: "clients … SHOULD report an error and discard the message".
      this.#problem = `its message was discarded: ${(error as Error).message}`;
      log.error({ path, reason: this.#problem }, 'Workload API: what it gave before is kept');
      return;
    }
    this.#receivedAt = Date.now();
    this.#problem = null;
    const { svids, refused, roots, federated, unusable } = this.#state;
    log.debug({ path, svids: [...svids.keys()], roots: roots.length, federated: [...federated.keys()] }, 'Workload API: state received');
    for (const [spiffeId, reason] of refused) log.error({ path, spiffeId, reason }, 'Workload API: SVID refused');
    for (const [trustDomain, reason] of unusable) log.error({ path, trustDomain, reason }, 'Workload API: bundle refused; nobody of it is believed');
    this.#options.changed();
  }

  #ended({ code, message }: GrpcError): void {
    const { log, path } = this.#options;
    this.#call = null;
    this.#problem = message;
    if (FINAL.includes(code)) {
      log.error({ path, code, reason: message }, 'Workload API: refused for good; not asking again before a restart or another configuration');
      return;
    }
    const retryInMs = this.#backoff.next();
    log.warn({ path, code, reason: message, retryInMs }, 'Workload API: lost; what it gave before is kept until it expires');
    this.#retry = setTimeout(() => this.start(), retryInMs);
    this.#retry.unref();
    if (code === STATUS.PERMISSION_DENIED) this.#takenBack();
  }

  /** "If the server redacts … all SVIDs, i.e., returns a PermissionDenied": none of them is ours any more. */
  #takenBack(): void {
    this.#state = NOTHING;
    this.#receivedAt = Date.now();
    this.#options.changed();
  }
}
