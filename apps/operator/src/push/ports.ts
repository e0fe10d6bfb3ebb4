import type { SpiffeBundle } from '@sallyport/shared/pki';
import type { Logger } from 'pino';
import { type Authority, IssuanceError } from '../ca/authority.ts';
import type { Issuance } from '../ca/issuance.ts';
import { issueOperatorIdentity, placeholderIdentity } from '../ca/operator-identity.ts';
import type { Config } from '../config.ts';
import { startBundleEndpoint } from '../federation/endpoint.ts';
import { repeat } from '../schedule.ts';
import type { Database } from '../store/postgres/client.ts';
import type { PushHub } from './hub.ts';
import { joinRoutes, streamRoutes } from './routes.ts';
import { startPushServer } from './server.ts';

const CHECK_MS = 1_000;
const RETRY_MS = 5_000;

interface PortOptions {
  readonly config: Config;
  readonly authority: Authority;
  readonly issuance: Issuance;
  readonly hub: PushHub;
  readonly database: Database;
  /** Our trust bundle, for other trust domains; null when it is not ours to give. */
  readonly bundle: () => SpiffeBundle | null;
  readonly now: () => number;
  readonly onReport: () => void;
  readonly log: Logger;
}

/** The two ports for proxies and the one for other trust domains, with the operator's own SVID renewed at half of its life and when the trust bundle changed. */
export async function startProxyPorts(options: PortOptions): Promise<{ joinPort: number; streamPort: number; bundlePort: number | null; close: () => Promise<void> }> {
  const { config, authority, issuance, now, log } = options;
  const issue = () => issueOperatorIdentity((order) => issuance.issue(order), authority.roots(), config.trustDomain);
  let own = await issue().catch((error: unknown) => {
    if (!(error instanceof IssuanceError)) throw error;
    log.error({ reason: error.message, remedy: error.remedy }, 'the CA cannot issue; no proxy can connect until it is mended');
    return placeholderIdentity(now());
  });
  const common = { host: config.host, trustDomain: config.trustDomain, identity: own.identity, log };
  const join = await startPushServer({ ...common, port: config.ports.join, mutual: false, routes: joinRoutes(issuance, log) });
  const stream = await startPushServer({ ...common, port: config.ports.stream, mutual: true, routes: streamRoutes(options) });
  const endpoint = config.bundleEndpoint && (await startBundleEndpoint({ ...config.bundleEndpoint, host: config.host, identity: own.identity, bundle: options.bundle, log }));
  const renew = async () => {
    const roots = authority.roots();
    const same = roots.length === own.identity.ca.length && roots.every((root) => own.identity.ca.includes(root));
    if (now() >= own.renewAt) {
      // When this fails, what there is goes on, and the next try is a little later.
      own = { ...own, renewAt: now() + RETRY_MS };
      own = await issue();
    } else if (same) return;
    else own = { ...own, identity: { ...own.identity, ca: roots } };
    for (const server of [join, stream, endpoint]) server?.renew(own.identity);
    log.info({ roots: roots.length }, same ? 'the operator renewed its own SVID' : 'the operator took up the new trust bundle');
  };
  const stop = repeat('operator SVID', CHECK_MS, renew, log);
  return {
    joinPort: join.port,
    streamPort: stream.port,
    bundlePort: endpoint?.port ?? null,
    async close() {
      await stop();
      await Promise.all([join.close(), stream.close(), endpoint?.close()]);
    },
  };
}
