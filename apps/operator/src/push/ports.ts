import type { Logger } from 'pino';
import type { Authority } from '../ca/authority.ts';
import type { Issuance } from '../ca/issuance.ts';
import { issueOperatorIdentity } from '../ca/operator-identity.ts';
import type { Config } from '../config.ts';
import type { Database } from '../store/postgres/client.ts';
import type { PushHub } from './hub.ts';
import { joinRoutes, streamRoutes } from './routes.ts';
import { startPushServer } from './server.ts';

const CHECK_MS = 5_000;

/** The two ports for proxies, with the operator's own SVID renewed at half of its life. */
export async function startProxyPorts(options: {
  config: Config;
  authority: Authority;
  issuance: Issuance;
  hub: PushHub;
  database: Database;
  now: () => number;
  leafLifetime: () => number;
  onReport: () => void;
  log: Logger;
}): Promise<{ joinPort: number; streamPort: number; close: () => Promise<void> }> {
  const { config, authority, issuance, now, log } = options;
  let own = issueOperatorIdentity(authority, config.trustDomain, options.leafLifetime());
  const common = { host: config.host, trustDomain: config.trustDomain, identity: own.identity, log };
  const join = await startPushServer({ ...common, port: config.ports.join, mutual: false, routes: joinRoutes(issuance, log) });
  const stream = await startPushServer({ ...common, port: config.ports.stream, mutual: true, routes: streamRoutes(options) });
  const timer = setInterval(() => {
    if (now() < own.renewAt) return;
    own = issueOperatorIdentity(authority, config.trustDomain, options.leafLifetime());
    for (const server of [join, stream]) server.renew(own.identity);
    log.info('the operator renewed its own SVID');
  }, CHECK_MS);
  return {
    joinPort: join.port,
    streamPort: stream.port,
    async close() {
      clearInterval(timer);
      await Promise.all([join.close(), stream.close()]);
    },
  };
}
