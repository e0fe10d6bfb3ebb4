import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ShopProxy } from '../shop/topology.ts';
import { local, type Plan, type Realm } from './plan.ts';
import type { ProcessSpec } from './process-unit.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** An operator. It migrates the database, makes its CA at the first start and writes `bundle.pem`. */
export function operatorSpec({ account }: Plan, { operator, ports, folders, topology }: Realm, databaseUrl: () => string): ProcessSpec {
  return {
    name: operator.name,
    args: [join(ROOT, 'apps/operator/src/main.ts')],
    cwd: ROOT,
    heapMiB: operator.heapMiB,
    env: async () => ({
      DATABASE_URL: databaseUrl(),
      SALLYPORT_API_PORT: String(ports.api),
      SALLYPORT_JOIN_PORT: String(ports.join),
      SALLYPORT_STREAM_PORT: String(ports.stream),
      ...(ports.bundle === null ? {} : { SALLYPORT_BUNDLE_PORT: String(ports.bundle) }),
      SALLYPORT_STATE_DIR: folders.operator,
      SALLYPORT_ADMIN_USERNAME: account.username,
      SALLYPORT_ADMIN_PASSWORD: account.password,
      SALLYPORT_TRUST_DOMAIN: topology.trustDomain,
    }),
  };
}

/** File with the join token of a proxy. */
export function tokenFile({ folders }: Realm, proxy: string): string {
  return join(folders.proxies, `${proxy}.token`);
}

/** One proxy. `renewToken` is called before each start and writes a join token if the proxy still needs one. */
export function proxySpec(realm: Realm, proxy: ShopProxy, renewToken: () => Promise<void>): ProcessSpec {
  const { ports, folders, topology } = realm;
  return {
    name: proxy.name,
    args: [join(ROOT, 'apps/dataplane/src/main.ts')],
    cwd: ROOT,
    heapMiB: 128,
    env: async () => {
      await renewToken();
      return {
        SALLYPORT_PROXY: proxy.name,
        SALLYPORT_ROLE: proxy.role,
        SALLYPORT_TRUST_DOMAIN: topology.trustDomain,
        SALLYPORT_JOIN_URL: local('https', ports.join),
        SALLYPORT_STREAM_URL: local('https', ports.stream),
        SALLYPORT_JOIN_TOKEN_FILE: tokenFile(realm, proxy.name),
        SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(folders.operator, 'bundle.pem'),
        SALLYPORT_STATE_DIR: join(folders.proxies, proxy.name),
        SALLYPORT_ADMIN_PORT: String(ports.admin[proxy.name] ?? 0),
        SALLYPORT_REPORT_INTERVAL: '2s',
      };
    },
  };
}

export function appsSpec(plan: Plan, part: string): ProcessSpec {
  return {
    name: `shop-${part}`,
    args: [join(ROOT, 'demo/shop/apps.ts'), part, plan.place.run, plan.place.network, ...(plan.partner === null ? [] : ['--federated'])],
    cwd: ROOT,
    heapMiB: 96,
    env: async () => ({}),
  };
}

export function consoleSpec(plan: Plan): ProcessSpec {
  const web = join(ROOT, 'apps/web');
  return {
    name: 'console',
    args: [join(web, 'node_modules/next/dist/bin/next'), 'start', '-p', String(plan.ports.console), '-H', '127.0.0.1'],
    cwd: web,
    heapMiB: 128,
    // glibc would keep an arena for each thread: with one, memory levels off about 80 MB lower.
    env: async () => ({ MALLOC_ARENA_MAX: '2', SALLYPORT_API_URL: local('http', plan.shop.ports.api), NEXT_TELEMETRY_DISABLED: '1' }),
  };
}
