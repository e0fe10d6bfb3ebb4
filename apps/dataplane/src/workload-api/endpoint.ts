import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import type { Identities } from '../identity/identities.ts';
import type { Log } from '../telemetry/log.ts';
import type { Caller } from './caller.ts';
import { WorkloadApiServer } from './server.ts';
import type { WorkloadApiSource } from './service.ts';

/** The Workload API of one proxy: its identities for the users that its workloads name. */
export class WorkloadEndpoint {
  readonly #identities: Identities;
  readonly #snapshot: () => Snapshot | null;
  readonly #server: WorkloadApiServer;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;

  /** @throws Error where callers cannot be identified */
  constructor(path: string, identities: Identities, snapshot: () => Snapshot | null, log: Log) {
    this.#identities = identities;
    this.#snapshot = snapshot;
    this.#unsubscribe = identities.onChange(() => this.changed());
    this.#server = new WorkloadApiServer({ path, source: (caller) => this.#source(caller), log });
  }

  /** @throws Error naming the path */
  listen(): Promise<void> {
    return this.#server.listen();
  }

  /** To be called when another configuration is in use. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#unsubscribe();
    this.#server.close();
  }

  #source(caller: Caller): WorkloadApiSource {
    const { trust } = this.#identities;
    return {
      trustDomain: trust.trustDomain,
      bundles: () => trust.bundles,
      entitled: () => this.#snapshot()?.workloads.filter((workload) => isOf(workload, caller)).map((workload) => ({ workload, credentials: this.#identities.credentialsOf(workload) })) ?? null,
      jwtSvid: (workload, audience) => this.#identities.jwtSvid(workload, audience),
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }
}

function isOf({ spec: { workloadApi } }: ServedWorkload, { uid, gid }: Caller): boolean {
  if (!workloadApi?.uids.includes(uid)) return false;
  return workloadApi.gids === undefined || workloadApi.gids.includes(gid);
}
