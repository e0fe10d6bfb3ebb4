import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { connectCluster } from './connect.ts';
import { Lease } from './lease.ts';
import { type LeaderAddress, startStandby } from './standby.ts';

const LEASE = 'sallyport-operator';
/** On the lease: where the leader's ports are, for those who stand by. */
const ADDRESS = 'sallyport.dev/address';

const port = z.int().min(1).max(65535);
const address = z.object({ host: z.string(), api: port, join: port, stream: port, bundle: port.nullable() });

/** What leading is to the rest of the operator. */
export interface Leadership {
  /** Asked before each write. */
  readonly leading: () => boolean;
  /** Tells those who stand by where our ports are. */
  readonly advertise: (ports: Omit<LeaderAddress, 'host'>) => void;
  readonly release: () => Promise<void>;
}

const ALONE: Leadership = { leading: () => true, advertise: () => undefined, release: () => Promise.resolve() };

/**
 * Waits until this process is the one that leads; meanwhile its ports lead to the one that does. With PostgreSQL as store
 * there is one process, and it leads at once. Who loses the lease ends: what it has in memory is not to be trusted any
 * more, and a process that starts anew stands by like any other.
 *
 * @throws when `signal` aborts before
 */
export async function becomeLeader(config: Config, signal: AbortSignal, log: Logger): Promise<Leadership> {
  if (config.kubernetes === null) return ALONE;
  const { kubeconfig, namespace, podName } = config.kubernetes;
  const identity = `${podName}_${randomUUID()}`;
  const trouble = (error: unknown) => log.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'the lease could not be read or renewed; trying again');
  const lease = new Lease({ client: connectCluster(kubeconfig), namespace, name: LEASE, identity, trouble });
  const host = hostOf(config.host);
  const standby = await startStandby(config, (own) => {
    const found = leaderOf(lease);
    // What led before us in this very pod left its address behind: that is ourselves now.
    return found?.host === host && found.api === own ? null : found;
  }, log);
  log.info({ identity, ports: standby.ports }, 'operator standing by');
  const onLost = () => {
    log.fatal({ identity }, 'the lease is lost; this process ends, because another replica leads');
    process.exit(1);
  };
  try {
    await lease.acquire(onLost, signal);
  } finally {
    await standby.close();
  }
  log.info({ identity }, 'operator leads');
  const advertise = (ports: Omit<LeaderAddress, 'host'>) => lease.annotate({ [ADDRESS]: JSON.stringify({ host, ...ports }) });
  return { leading: () => lease.leading, advertise, release: () => lease.release() };
}

function leaderOf({ holder }: Lease): LeaderAddress | null {
  const text = holder?.annotations[ADDRESS];
  if (text === undefined) return null;
  try {
    return address.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** An address at which other pods reach what listens on `host`. */
function hostOf(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal }) => !internal);
  return (own.find(({ family }) => family === 'IPv4') ?? own[0])?.address ?? '127.0.0.1';
}
