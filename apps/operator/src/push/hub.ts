import type { ConfigDelta } from '@sallyport/shared/push';
import { type Ack, PushSession } from './session.ts';
import { bundleHash, type NamedEntry, snapshotFor, type World } from './snapshot.ts';

/** Istio's defaults are 100 ms and 10 s; a burst of writes becomes one push, and none waits for ever. */
const DEBOUNCE_MS = 100;

/** What is known of one proxy's configuration. */
export interface PushState {
  readonly connected: boolean;
  readonly lastAck: number | null;
  readonly version: string | null;
  readonly nack: string | null;
}

/** How far one entry got: to whom it goes, and who confirmed just this content. */
export interface Programming {
  readonly targets: readonly string[];
  readonly acked: readonly string[];
  readonly pending: readonly string[];
  readonly nacked: readonly { readonly proxy: string; readonly message: string }[];
}

/** Keeps every connected proxy at the present snapshot and remembers what each confirmed. */
export class PushHub {
  readonly #world: () => { world: World; version: string };
  readonly #proxies: () => readonly string[];
  readonly #now: () => number;
  readonly #sessions = new Map<string, PushSession>();
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: { world: () => { world: World; version: string }; proxies: () => readonly string[]; now: () => number }) {
    this.#world = options.world;
    this.#proxies = options.proxies;
    this.#now = options.now;
  }

  /** Calls back whenever a proxy connects, leaves or answers. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Recomputes and pushes soon. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#pushAll();
    }, DEBOUNCE_MS);
  }

  /** A proxy subscribed; an older stream of the same proxy is superseded. @returns what ends this subscription */
  connect(proxy: string, have: Readonly<Record<string, string>>, send: (delta: ConfigDelta) => void): () => void {
    const session = new PushSession(proxy, have, send);
    this.#sessions.set(proxy, session);
    this.#offer(session);
    this.#notify();
    return () => {
      if (this.#sessions.get(proxy) !== session) return;
      this.#sessions.delete(proxy);
      this.#notify();
    };
  }

  /** @returns false when the answer fits nothing that was sent */
  settle(proxy: string, ack: Ack): boolean {
    const session = this.#sessions.get(proxy);
    if (!session?.settle(ack, this.#now())) return false;
    this.#offer(session);
    this.#notify();
    return true;
  }

  state(proxy: string): PushState {
    const session = this.#sessions.get(proxy);
    const nack = session?.nack?.errors.map((error) => `${error.name}: ${error.message}`).join('; ') ?? null;
    return { connected: session !== undefined, lastAck: session?.lastAck ?? null, version: session?.ackedVersion ?? null, nack };
  }

  /** How far each of the named entries got, over all proxies that they concern. */
  programming(names: readonly string[]): Map<string, Programming> {
    const { world } = this.#world();
    const result = new Map(names.map((name) => [name, { targets: [] as string[], acked: [] as string[], pending: [] as string[], nacked: [] as { proxy: string; message: string }[] }]));
    for (const proxy of this.#proxies()) {
      const snapshot = snapshotFor(proxy, world);
      const session = this.#sessions.get(proxy);
      for (const [name, progress] of result) {
        const entry = snapshot.get(name);
        if (!entry) continue;
        progress.targets.push(proxy);
        const error = session?.nack?.errors.find((item) => item.name === name);
        if (session?.acked.get(name) === entry.hash) progress.acked.push(proxy);
        else if (error) progress.nacked.push({ proxy, message: error.message });
        else progress.pending.push(proxy);
      }
    }
    return result;
  }

  /** Proxies that do not run exactly what they should run now. */
  behind(proxies: readonly string[]): string[] {
    const { world } = this.#world();
    return proxies.filter((proxy) => {
      const session = this.#sessions.get(proxy);
      return !session || !upToDate(session, snapshotFor(proxy, world));
    });
  }

  /** Proxies that said in this connection that they run the present trust bundle, and its sequence number. */
  bundleHolders(): { sequence: number; proxies: string[] } {
    const { world } = this.#world();
    const hash = bundleHash(world);
    const holds = (session: PushSession) => session.lastAck !== null && session.acked.get('bundle') === hash;
    return { sequence: world.bundleSequence, proxies: [...this.#sessions.values()].filter(holds).map(({ proxy }) => proxy) };
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  #pushAll(): void {
    for (const session of this.#sessions.values()) this.#offer(session);
    this.#notify();
  }

  #offer(session: PushSession): void {
    const { world, version } = this.#world();
    session.offer(snapshotFor(session.proxy, world), version);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function upToDate(session: PushSession, snapshot: ReadonlyMap<string, NamedEntry>): boolean {
  if (session.acked.size !== snapshot.size) return false;
  return [...snapshot.values()].every(({ name, hash }) => session.acked.get(name) === hash);
}
