import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import { RefusedConfigError } from '../config-stream/config-set.ts';
import type { Credentials } from '../identity/credentials.ts';
import { socketOptionReader } from '../native/sockopt.ts';
import { type CatchPorts, type Intercepted, Interceptor, type InterceptorOptions } from './interceptor.ts';

export interface InterceptorsOptions extends InterceptorOptions {
  readonly credentialsOf: (workload: ServedWorkload) => Credentials;
}

/** What a configuration asks for; `fresh` is null when the present interceptor goes on, or when there is to be none. */
export interface WantedInterceptor {
  readonly workload: ServedWorkload | null;
  readonly fresh: Interceptor | null;
}

/** The interceptor of this process: none, or one, because the rules lead everything of a network namespace to one place. */
export class Interceptors {
  readonly #options: InterceptorsOptions;
  #current: Interceptor | null = null;

  constructor(options: InterceptorsOptions) {
    this.#options = options;
  }

  /** Whether the rules are in place: null when nothing is intercepted, or when that is not known yet. */
  get intact(): boolean | null {
    return this.#current?.intact ?? null;
  }

  /** True when connections are to be redirected to us, and are not, as far as is known. */
  get broken(): boolean {
    return this.#current !== null && this.#current.intact !== true;
  }

  /** Binds what is wanted and is not bound yet. @throws RefusedConfigError naming the workload; then nothing is left bound */
  async bind(snapshot: Snapshot): Promise<WantedInterceptor> {
    const [workload, ...others] = snapshot.workloads.filter(({ spec }) => spec.interception);
    const { interception } = workload?.spec ?? {};
    if (!workload || !interception) return { workload: null, fresh: null };
    const entry = `workload/${workload.namespace}/${workload.name}`;
    if (others.length > 0) throw new RefusedConfigError([{ name: entry, message: `one workload of a proxy can be intercepted, and ${others[0]?.name ?? ''} is to be as well` }]);
    const { inbound, outbound } = interception;
    if (this.#current && samePorts(this.#current.ports, { inbound, outbound })) return { workload, fresh: null };
    try {
      const fresh = new Interceptor({ inbound, outbound }, this.#intercepted(workload, snapshot, () => undefined), socketOptionReader(), this.#options);
      await fresh.listen();
      return { workload, fresh };
    } catch (error) {
      throw new RefusedConfigError([{ name: entry, message: `cannot be intercepted: ${(error as Error).message}` }]);
    }
  }

  /** Serves what is wanted from now on. @returns the end of what nobody wants any more, within `grace` ms */
  async commit({ workload, fresh }: WantedInterceptor, snapshot: Snapshot, declared: Intercepted['declared'], grace: number): Promise<void> {
    const before = this.#current;
    if (workload === null || fresh !== null) this.#current = fresh;
    if (workload !== null) this.#current?.update(this.#intercepted(workload, snapshot, declared));
    fresh?.open();
    if (before === null || before === this.#current) return;
    before.stop();
    await before.close(grace);
  }

  /** Stops accepting. @returns the way to finish what is in flight within `grace` ms */
  stop(): (grace: number) => Promise<void> {
    const current = this.#current;
    this.#current = null;
    current?.stop();
    return (grace) => current?.close(grace) ?? Promise.resolve();
  }

  #intercepted(workload: ServedWorkload, snapshot: Snapshot, declared: Intercepted['declared']): Intercepted {
    return { workload, snapshot, declared, credentials: this.#options.credentialsOf(workload) };
  }
}

function samePorts(one: CatchPorts, other: CatchPorts): boolean {
  return one.inbound === other.inbound && one.outbound === other.outbound;
}
