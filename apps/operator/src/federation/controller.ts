import { createHash } from 'node:crypto';
import { BundleError, readSpiffeBundle, type SpiffeBundle } from '@sallyport/shared/pki';
import type { FederatedTrustDomain, MeshSpec } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import { deleteFederatedBundles, readFederatedBundles, saveFederatedBundle, type StoredBundle } from '../history/federated-bundles.ts';
import type { ResourceCache } from '../store/cache.ts';
import type { Database } from '../store/postgres/client.ts';
import { fetchBundle } from './fetch-bundle.ts';

const TIMEOUT_MS = 15_000;
const MAX_IN_FLIGHT = 4;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 5 * 60_000;
/** Federation §4.1.2: without a hint, five minutes. A hint is only a hint, so it is kept within reason. */
const DEFAULT_HINT_S = 300;
const SHORTEST_HINT_S = 5;
const LONGEST_HINT_S = 24 * 3600;

interface Tracked {
  readonly stored: StoredBundle | null;
  /** The newest bundle: fetched, or else the one to begin with. */
  readonly bundle: SpiffeBundle | null;
  /** What is wrong with the bundle to begin with; null when nothing is. */
  readonly initialProblem: string | null;
  readonly basis: string;
  readonly failures: number;
  readonly dueAt: number;
}

/** How a federation stands, for its conditions. Times in ms since the epoch. */
export interface FederationState {
  /** Another object has the trust domain already, or it is our own. */
  readonly refused: string | null;
  readonly fetchedAt: number | null;
  readonly usable: boolean;
  readonly failure: string | null;
}

export interface FederationOptions {
  readonly cache: ResourceCache;
  readonly database: Database;
  readonly mesh: () => MeshSpec;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

/** Keeps the bundles of the trust domains that we federate with: fetched by their hints, kept while a fetch fails. */
export class FederationController {
  readonly #options: FederationOptions;
  readonly #tracked = new Map<string, Tracked>();
  readonly #inFlight = new Map<string, Promise<void>>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #stored: ReadonlyMap<string, StoredBundle> = new Map();

  constructor(options: FederationOptions) {
    this.#options = options;
  }

  /** Takes up what was known before a restart. */
  async start(): Promise<void> {
    this.#stored = new Map((await readFederatedBundles(this.#options.database)).map((each) => [each.trustDomain, each]));
    this.#follow();
  }

  /** Calls back when a bundle or its state changed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** The bundles that are in use, by their trust domains. Never merged: each is good for its own. */
  get bundles(): ReadonlyMap<string, SpiffeBundle> {
    return new Map([...this.#tracked].flatMap(([name, { bundle }]) => (bundle ? [[name, bundle] as const] : [])));
  }

  /** How the federation of an object stands. */
  state(object: FederatedTrustDomain): FederationState {
    const { trustDomain } = object.spec;
    const tracked = this.#tracked.get(trustDomain);
    const fetchedAt = tracked?.stored?.fetchedAt ?? null;
    return { refused: this.#refusal(object), fetchedAt, usable: tracked?.bundle != null, failure: tracked?.initialProblem ?? tracked?.stored?.failure ?? null };
  }

  /** Starts what is due and forgets what nobody federates with any more. Does not wait for fetches. */
  async tick(): Promise<void> {
    await this.#forget(this.#follow());
    for (const { spec } of this.#wanted().values()) {
      const { trustDomain } = spec;
      const tracked = this.#tracked.get(trustDomain);
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      if (!tracked || tracked.dueAt > this.#options.now() || this.#inFlight.has(trustDomain)) continue;
      const work = this.#fetch(spec, tracked)
        .catch((error: unknown) => this.#options.log.warn({ trustDomain, error: (error as Error).message }, 'bundle could not be kept; trying again'))
        .finally(() => this.#inFlight.delete(trustDomain));
      this.#inFlight.set(trustDomain, work);
    }
  }

  /** Breaks off fetches and waits for them to end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#inFlight.values());
  }

  /** The object that speaks for each trust domain: the oldest. */
  #wanted(): Map<string, FederatedTrustDomain> {
    const age = ({ metadata }: FederatedTrustDomain) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
    const wanted = new Map<string, FederatedTrustDomain>();
    for (const object of this.#options.cache.all('FederatedTrustDomain').toSorted((a, b) => (age(a) < age(b) ? -1 : 1))) {
      const { trustDomain } = object.spec;
      if (trustDomain !== this.#options.mesh().trustDomain && !wanted.has(trustDomain)) wanted.set(trustDomain, object);
    }
    return wanted;
  }

  #refusal({ metadata, spec: { trustDomain } }: FederatedTrustDomain): string | null {
    if (trustDomain === this.#options.mesh().trustDomain) return 'this is our own trust domain';
    const speaker = this.#wanted().get(trustDomain)?.metadata.name;
    return speaker === undefined || speaker === metadata.name ? null : `FederatedTrustDomain ${speaker} is older and has the same trust domain; remove one of them`;
  }

  /** Brings what is tracked in line with the objects. @returns trust domains that are no longer wanted */
  #follow(): string[] {
    const wanted = this.#wanted();
    let changed = false;
    for (const [trustDomain, { spec }] of wanted) {
      const basis = basisOf(spec);
      if (this.#tracked.get(trustDomain)?.basis === basis) continue;
      this.#tracked.set(trustDomain, begin(spec, basis, this.#stored.get(trustDomain)));
      changed = true;
    }
    const gone = [...this.#tracked.keys()].filter((name) => !wanted.has(name));
    for (const name of gone) this.#tracked.delete(name);
    if (changed || gone.length > 0) this.#publish();
    return [...new Set([...gone, ...[...this.#stored.keys()].filter((name) => !wanted.has(name))])];
  }

  async #forget(gone: readonly string[]): Promise<void> {
    if (gone.length === 0) return;
    this.#stored = new Map([...this.#stored].filter(([name]) => !gone.includes(name)));
    await deleteFederatedBundles(this.#options.database, gone);
  }

  async #fetch(spec: FederatedTrustDomain['spec'], before: Tracked): Promise<void> {
    const { database, mesh, now, log } = this.#options;
    const { trustDomain } = spec;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const result = await fetchBundle(spec, before.bundle, { allowedHosts: mesh().jwks.allowedHosts, signal }).catch((error: Error) => error);
    // The object may be another one by now, or gone.
    if (this.#stop.signal.aborted || this.#tracked.get(trustDomain) !== before) return;
    const failed = result instanceof Error;
    if (failed) log.warn({ trustDomain, reason: result.message }, 'bundle not fetched; the last one stays in use');
    const stored: StoredBundle = {
      trustDomain, basis: before.basis, attemptedAt: now(),
      document: failed ? (before.stored?.document ?? null) : result.document,
      fetchedAt: failed ? (before.stored?.fetchedAt ?? null) : now(),
      failure: failed ? result.message.slice(0, 500) : null,
    };
    const failures = failed ? before.failures + 1 : 0;
    const bundle = failed ? before.bundle : result.bundle;
    this.#tracked.set(trustDomain, { stored, bundle, initialProblem: null, basis: before.basis, failures, dueAt: now() + this.#wait(failures, bundle) });
    this.#stored = new Map([...this.#stored, [trustDomain, stored]]);
    this.#publish();
    await saveFederatedBundle(database, stored);
  }

  #wait(failures: number, bundle: SpiffeBundle | null): number {
    const hint = Math.min(LONGEST_HINT_S, Math.max(SHORTEST_HINT_S, bundle?.refreshHint ?? DEFAULT_HINT_S)) * 1000;
    const wait = failures === 0 ? hint : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
    return wait * (0.9 + this.#options.random() * 0.2);
  }

  #publish(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What was fetched by other settings is void: a stale bundle must not beat the one that somebody gives anew (spire#1305). */
function begin(spec: FederatedTrustDomain['spec'], basis: string, known: StoredBundle | undefined): Tracked {
  const stored = known?.basis === basis ? known : null;
  const common = { stored, basis, failures: 0, dueAt: 0 };
  const text = stored?.document ?? spec.trustDomainBundle;
  if (text === undefined) return { ...common, bundle: null, initialProblem: null };
  try {
    return { ...common, bundle: readSpiffeBundle(text), initialProblem: null };
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    return { ...common, bundle: null, initialProblem: `trustDomainBundle ${error.message}` };
  }
}

function basisOf(spec: FederatedTrustDomain['spec']): string {
  return createHash('sha256').update(JSON.stringify([spec.bundleEndpointURL, spec.bundleEndpointProfile, spec.trustDomainBundle ?? ''])).digest('hex');
}
