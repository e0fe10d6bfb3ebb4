import type { Logger } from 'pino';
import type { PodAttestor } from '../ca/attestation.ts';
import type { Config, KubernetesConfig } from '../config.ts';
import { auditAfterwards, auditWrites } from '../history/audit.ts';
import { ensureUser } from '../history/users.ts';
import { TokenReviewer } from '../kubernetes/attestation/token-review.ts';
import { connectCluster } from '../kubernetes/connect.ts';
import { ClusterWorkloads } from '../kubernetes/workloads/cluster.ts';
import { OverlayStore } from '../kubernetes/workloads/overlay.ts';
import { ResourceCache } from './cache.ts';
import { KubernetesStore } from './kubernetes/store.ts';
import type { ResourceStore } from './ports.ts';
import { type Database, openDatabase } from './postgres/client.ts';
import { migrate } from './postgres/migrate.ts';
import { PostgresStore } from './postgres/store.ts';
import { ChangeFeed } from './postgres/watch.ts';

/** The database, the store, and all resources in memory. */
export interface OpenStore {
  readonly database: Database;
  readonly store: ResourceStore;
  readonly cache: ResourceCache;
  /** Null unless there is a cluster to ask. */
  readonly pods: PodAttestor | null;
  close(): Promise<void>;
}

type Adapters = Pick<OpenStore, 'store' | 'pods' | 'close'>;

/**
 * Opens the store that the configuration asks for, and the database, which keeps history in either mode.
 *
 * @param mayWrite whether this replica leads at this moment
 */
export async function openStore(config: Config, mayWrite: () => boolean, log: Logger): Promise<OpenStore> {
  const applied = await migrate(config.databaseUrl);
  if (applied.length > 0) log.info({ migrations: applied }, 'database migrated');
  const database = openDatabase(config.databaseUrl);
  await ensureUser(database, config.admin.username, config.admin.password, ['viewer', 'editor', 'approver', 'auditor']);
  const { store, pods, close } = config.kubernetes === null ? openPostgres(config.databaseUrl, database) : await openKubernetes(config.kubernetes, mayWrite, database, log);
  const cache = new ResourceCache(store, (error) => log.warn({ error: textOf(error) }, 'resource watch failed; following again'));
  await cache.start();
  return {
    database, store, cache, pods,
    async close() {
      await Promise.all([cache.close(), close()]);
      await database.$disconnect();
    },
  };
}

function openPostgres(url: string, database: Database): Adapters {
  const feed = new ChangeFeed({ url, database });
  feed.start();
  return { store: new PostgresStore({ database, feed, record: auditWrites(Date.now), now: Date.now }), pods: null, close: () => feed.close() };
}

/** The CRDs, with what the cluster's own pods and services are laid over them. */
async function openKubernetes({ kubeconfig, namespace }: KubernetesConfig, mayWrite: () => boolean, database: Database, log: Logger): Promise<Adapters> {
  const trouble = (error: unknown) => log.warn({ error: textOf(error) }, 'a watch of the API server failed; it goes on from where it was');
  const client = connectCluster(kubeconfig);
  const workloads = new ClusterWorkloads(client, trouble);
  await workloads.synced;
  const store = new OverlayStore(new KubernetesStore({ client, record: auditAfterwards(database, Date.now), trouble, mayWrite }), workloads);
  return { store, pods: new TokenReviewer({ client, pods: workloads, namespace, now: Date.now }), close: () => workloads.close() };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
