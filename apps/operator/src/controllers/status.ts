import type { FederatedTrustDomain, Resource } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import type { CaCondition } from '../ca/controller.ts';
import type { FederationState } from '../federation/controller.ts';
import type { PushHub } from '../push/hub.ts';
import type { ResourceCache } from '../store/cache.ts';
import { keyOf, NotFoundError, type ResourceStore } from '../store/ports.ts';
import { meshOf } from '../observe/mesh-state.ts';
import { rulingPolicies } from '../push/traffic.ts';
import { federationStatus, plainStatus, policyStatus } from './conditions.ts';
import type { KeyState, Referable } from './references.ts';

const PROGRAMMED_KINDS = { AuthorizationPolicy: 'authz', PeerAuthentication: 'peer', RequestAuthentication: 'authn', TrafficPolicy: 'traffic', Workload: 'workload', Service: 'service' } as const;
const DEBOUNCE_MS = 200;

export interface StatusOptions {
  readonly cache: ResourceCache;
  readonly store: ResourceStore;
  readonly hub: PushHub;
  readonly trustDomain: string;
  /** What is known of the keys at a source. */
  readonly keys: (source: string) => KeyState | null;
  /** How the CA stands to what the Mesh asks for. */
  readonly ca: () => CaCondition;
  /** How a federation stands. */
  readonly federation: (object: FederatedTrustDomain) => FederationState;
  readonly now: () => number;
  readonly log: Logger;
}

/** Keeps the conditions of every object true to what its proxies confirmed. */
export class StatusController {
  readonly #cache: ResourceCache;
  readonly #store: ResourceStore;
  readonly #hub: PushHub;
  readonly #options: StatusOptions;
  readonly #now: () => number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #again = false;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#cache = options.cache;
    this.#store = options.store;
    this.#hub = options.hub;
    this.#now = options.now;
    this.#log = options.log;
  }

  /** Reconciles soon; calls in between are one. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, DEBOUNCE_MS);
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      await this.#reconcile();
    } catch (error) {
      this.#log.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'status could not be written; trying again');
      this.#again = true;
    }
    this.#running = false;
    if (this.#again) {
      this.#again = false;
      this.changed();
    }
  }

  /** Whole state each time: what every object's status should be, written where it differs. */
  async #reconcile(): Promise<void> {
    const known = this.#referable();
    const named = Object.entries(PROGRAMMED_KINDS).flatMap(([kind, prefix]) =>
      this.#cache.all(kind as keyof typeof PROGRAMMED_KINDS).map((object): [string, Resource] => [`${prefix}/${object.metadata.namespace ?? ''}/${object.metadata.name}`, object]),
    );
    const progress = this.#hub.programming(named.map(([name]) => name));
    for (const [name, object] of named) {
      const state = progress.get(name);
      if (state) await this.#write(object, policyStatus(object, known, state, this.#now()));
    }
    for (const object of this.#cache.all('FederatedTrustDomain')) await this.#write(object, federationStatus(object, known, this.#options.federation(object), this.#now()));
    for (const object of [...this.#cache.all('Mesh'), ...this.#cache.all('ExpectedGraph')]) {
      await this.#write(object, plainStatus(object, known, this.#options.ca(), this.#now()));
    }
  }

  #referable(): Referable {
    const { trustDomain, trustDomainAliases = [], extensionProviders = [] } = meshOf(this.#cache, this.#options.trustDomain).spec;
    return {
      trustDomains: new Set([trustDomain, ...trustDomainAliases, 'cluster.local']),
      accounts: new Set(this.#cache.all('Workload').map(({ metadata, spec }) => `${metadata.namespace ?? ''}/${spec.serviceAccount}`)),
      services: new Map(this.#cache.all('Service').map(({ metadata, spec }) => [`${metadata.namespace ?? ''}/${metadata.name}`, new Set(spec.ports.map(({ port }) => port))])),
      trafficRulers: rulingPolicies(this.#cache.all('TrafficPolicy')),
      providers: new Set(extensionProviders.map(({ name }) => name)),
      keys: this.#options.keys,
    };
  }

  async #write(object: Resource, status: NonNullable<Resource['status']>): Promise<void> {
    if (sameVerdicts(object.status, status)) return;
    try {
      await this.#store.writeStatus(keyOf(object), status);
    } catch (error) {
      // Deleted meanwhile: there is nothing left to describe.
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
}

/** Equal but for times. */
function sameVerdicts(a: Resource['status'], b: Resource['status']): boolean {
  const plain = (status: Resource['status']) => JSON.stringify({ ...status, conditions: status?.conditions?.map(({ lastTransitionTime: _time, ...rest }) => rest) }, sortedKeys);
  return plain(a) === plain(b);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
}
