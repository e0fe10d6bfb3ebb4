import net from 'node:net';
import { formatAddress, type InetAddress } from '../listener/address.ts';
import type { Log } from '../telemetry/log.ts';
import { PROBE_INBOUND, PROBE_OUTBOUND } from './ports.ts';

const CHECK_MS = 5_000;
const PROBE_MS = 10_000;

export type Side = 'inbound' | 'outbound';
const PROBES = [['inbound', PROBE_INBOUND], ['outbound', PROBE_OUTBOUND]] as const;

/**
 * Knows whether the rules are in place, by using them: reading them takes a capability that a proxy must not have. What is
 * called is a port of loopback where nobody listens, and the call must arrive at our own listener of that side. So it is
 * known as well that the rules take this process for the proxy, whose own connections they leave alone.
 */
export class RulesWatch {
  readonly #hosts: readonly string[];
  readonly #log: Log;
  readonly #lost: () => void;
  readonly #arrived = new Set<string>();
  readonly #first = Promise.withResolvers<boolean>();
  #intact: boolean | null = null;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param hosts loopback addresses, one of each family that is in use
   * @param lost called whenever the rules are found to be missing that were there
   */
  constructor(hosts: readonly string[], log: Log, lost: () => void) {
    this.#hosts = hosts;
    this.#lost = lost;
    this.#log = log;
  }

  /** Null before the first check is over. */
  get intact(): boolean | null {
    return this.#intact;
  }

  /** What is known now, or soon: the end of the first check is waited for. */
  settled(): boolean | Promise<boolean> {
    return this.#intact ?? this.#first.promise;
  }

  /** Begins to check. Our listeners must accept by now. */
  start(): void {
    void this.#check();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#first.resolve(false);
  }

  /** True when a connection that was going there is one of ours; then it has arrived and is over. */
  isProbe(side: Side, { host, port }: InetAddress, socket: net.Socket): boolean {
    if (!this.#hosts.includes(host) || !PROBES.some(([of, probe]) => of === side && probe === port)) return false;
    this.#arrived.add(`${side} ${host}`);
    socket.destroy();
    return true;
  }

  async #check(): Promise<void> {
    const probes = PROBES.flatMap(([side, port]) => this.#hosts.map(async (host) => ((await this.#arrives(side, host, port)) ? [] : [`${side} ${formatAddress({ host, port })}`])));
    const lost = (await Promise.all(probes)).flat();
    this.#arrived.clear();
    if (this.#stopped) return;
    this.#tell(lost);
    this.#timer = setTimeout(() => void this.#check(), CHECK_MS);
    this.#timer.unref();
  }

  #tell(lost: readonly string[]): void {
    const before = this.#intact;
    this.#intact = lost.length === 0;
    this.#first.resolve(this.#intact);
    if (this.#intact === before) return;
    if (this.#intact) return this.#log.info('the redirect rules are in place');
    this.#log.error({ lost, remedy: 'run sallyport-redirect apply with this process’s user as --proxy-uid in its network namespace' }, 'the redirect rules are not in place: nothing is accepted from peers');
    this.#lost();
  }

  /** Calls, and tells at the end whether the call came to us. */
  #arrives(side: Side, host: string, port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = net.connect({ host, port });
      const timer = setTimeout(() => socket.destroy(), PROBE_MS);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve(this.#arrived.has(`${side} ${host}`));
      });
      // An end by the other side is an end.
      socket.resume();
    });
  }
}
