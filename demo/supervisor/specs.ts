import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ShopProxy } from '../shop/topology.ts';
import { local, type Plan } from './plan.ts';
import type { ProcessSpec } from './process-unit.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The operator. It migrates the database, makes its CA at the first start and writes `bundle.pem`. */
export function operatorSpec(plan: Plan, databaseUrl: () => string): ProcessSpec {
  const { ports, state, topology, account } = plan;
  return {
    name: 'operator',
    args: [join(ROOT, 'apps/operator/src/main.ts')],
    cwd: ROOT,
    heapMiB: 320,
    env: async () => ({
      DATABASE_URL: databaseUrl(),
      SALLYPORT_API_PORT: String(ports.api),
      SALLYPORT_JOIN_PORT: String(ports.join),
      SALLYPORT_STREAM_PORT: String(ports.stream),
      SALLYPORT_STATE_DIR: state.operator,
      SALLYPORT_ADMIN_USERNAME: account.username,
      SALLYPORT_ADMIN_PASSWORD: account.password,
      SALLYPORT_TRUST_DOMAIN: topology.trustDomain,
    }),
  };
}

/** File with the join token of a proxy. */
export function tokenFile(plan: Plan, proxy: string): string {
  return join(plan.state.proxies, `${proxy}.token`);
}

/** One proxy. `renewToken` is called before each start and writes a join token if the proxy still needs one. */
export function proxySpec(plan: Plan, proxy: ShopProxy, renewToken: () => Promise<void>): ProcessSpec {
  const { ports, state, topology } = plan;
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
        SALLYPORT_JOIN_TOKEN_FILE: tokenFile(plan, proxy.name),
        SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(state.operator, 'bundle.pem'),
        SALLYPORT_STATE_DIR: join(state.proxies, proxy.name),
        SALLYPORT_ADMIN_PORT: String(ports.admin[proxy.name] ?? 0),
        SALLYPORT_REPORT_INTERVAL: '2s',
      };
    },
  };
}

export function appsSpec(plan: Plan, part: string): ProcessSpec {
  return {
    name: `shop-${part}`,
    args: [join(ROOT, 'demo/shop/apps.ts'), part, plan.place.run, plan.place.network],
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
    env: async () => ({ MALLOC_ARENA_MAX: '2', SALLYPORT_API_URL: local('http', plan.ports.api), NEXT_TELEMETRY_DISABLED: '1' }),
  };
}
