import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRUST_DOMAIN, workloadUri } from '../../apps/dataplane/test/certificates.ts';
import { addPeerMode, addPolicy, addService, addWorkload, baseEntries, type Entries, freePort, until } from '../../apps/dataplane/test/mesh.ts';
import { API, type Lab, roomOf } from './lab.ts';
import { familyOf, lastWords } from './processes.ts';
import { type Deployment, rulesOf, type Target } from './target.ts';

const MAIN = join(import.meta.dirname, '../../apps/dataplane/src/main.ts');
/** More rules than one policy is meant to have go into several. */
const RULES_A_POLICY = 100;

/** `plain…` are the caller's doors, the others the service's. */
type Ports = Readonly<Record<'http' | 'http2' | 'grpc' | 'tcp' | 'hbone' | 'plain' | 'plainTcp', number>>;

const principal = (account: string) => workloadUri('shop', account).slice('spiffe://'.length);

/** Our own proxy: two processes by their real entry point, enrolled at and configured by the operator's stand-in. */
export const sallyport = targetOf('sallyport', MAIN);

const base = process.env['BENCH_BASE'];
/** Another state of it, for what a change gains: the clone that `BENCH_BASE` names. */
export const before: readonly Target[] = base === undefined ? [] : [targetOf('before', join(base, 'apps/dataplane/src/main.ts'))];

function targetOf(name: string, main: string): Target {
  return { name, missing: null, deploy: (lab, rules) => deploy(lab, rules, name, main) };
}

async function deploy(lab: Lab, rules: number, name: string, main: string): Promise<Deployment> {
  const ports: Ports = { http: await freePort(), http2: await freePort(), grpc: await freePort(), tcp: await freePort(), hbone: await freePort(), plain: await freePort(), plainTcp: await freePort() };
  const { root } = lab.mesh.operator.ca;
  const [client, server] = [`client-${name}-${rules}`, `server-${name}-${rules}`];
  lab.mesh.operator.configure(client, clientEntries(root, ports));
  lab.mesh.operator.configure(server, serverEntries(root, lab, ports, rules));
  const children = [await start(lab, client, main), await start(lab, server, main)] as const;
  const doors = {
    plain: { h1: ports.plain, h2: ports.plain, grpc: ports.plain, tcp: ports.plainTcp },
    mtls: { h1: ports.http, h2: ports.http2, grpc: ports.grpc, tcp: ports.tcp },
  };
  return { doors, client: familyOf(children[0]), server: familyOf(children[1]) };
}

function clientEntries(root: string, ports: Ports): Entries {
  const entries = baseEntries(root);
  addWorkload(entries, 'shop', 'web', {
    outbound: [
      { protocol: 'http', listen: `127.0.0.1:${ports.plain}` },
      { protocol: 'tcp', listen: `127.0.0.1:${ports.plainTcp}`, service: 'bulk', namespace: 'pay', port: 80 },
    ],
  });
  const endpointAt = (port: number) => [{ port, spiffeId: API, hbone: ports.hbone }];
  addService(entries, 'pay', 'api', 'http', endpointAt(ports.http));
  addService(entries, 'pay', 'api-h2', 'http2', endpointAt(ports.http2));
  addService(entries, 'pay', 'api-grpc', 'grpc', endpointAt(ports.grpc));
  addService(entries, 'pay', 'bulk', 'tcp', endpointAt(ports.tcp));
  return entries;
}

function serverEntries(root: string, lab: Lab, ports: Ports, count: number): Entries {
  const entries = baseEntries(root);
  addWorkload(entries, 'pay', 'api', {
    hbonePort: ports.hbone,
    inbound: [
      ...(['http', 'http2', 'grpc'] as const).map((protocol) => ({ port: ports[protocol], protocol, app: `127.0.0.1:${lab.app}` })),
      { port: ports.tcp, protocol: 'tcp', app: `127.0.0.1:${lab.bulk}` },
    ],
  }, { port: ports.http });
  addPeerMode(entries, 'pay', 'STRICT');
  const rules = rulesOf(count).map(({ account, prefix }) => ({
    from: [{ source: { principals: [principal(account)] } }],
    to: [{ operation: { paths: [`${prefix}*`] } }],
  }));
  for (let at = 0; at < rules.length; at += RULES_A_POLICY) addPolicy(entries, 'pay', `allow-${at}`, { action: 'ALLOW', rules: rules.slice(at, at + RULES_A_POLICY) });
  // Bytes have no path: the identity alone decides.
  if (count > 0) addPolicy(entries, 'pay', 'allow-bulk', { action: 'ALLOW', rules: [{ from: [{ source: { principals: [principal('web')] } }], to: [{ operation: { ports: [String(ports.tcp)] } }] }] });
  return entries;
}

/** `BENCH_NODE_OPTIONS` reaches our proxies of this clone, e.g. `--cpu-prof --cpu-prof-dir=…`: a profile is written when they end. */
async function start(lab: Lab, proxy: string, main: string): Promise<ChildProcess> {
  const { joinUrl, streamUrl, stateDir, bootstrapBundleFile } = lab.mesh.config(proxy);
  const tokenFile = join(roomOf(lab, `sallyport-${proxy}`), 'token');
  writeFileSync(tokenFile, lab.mesh.operator.token(proxy));
  const log = join(lab.directory, `sallyport-${proxy}.log`);
  const child = lab.processes.start('proxy', process.execPath, [main], log, {
    PATH: process.env['PATH'], NODE_OPTIONS: main === MAIN ? (process.env['BENCH_NODE_OPTIONS'] ?? '') : '',
    SALLYPORT_PROXY: proxy, SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: TRUST_DOMAIN, SALLYPORT_JOIN_URL: joinUrl.href, SALLYPORT_STREAM_URL: streamUrl.href,
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: bootstrapBundleFile, SALLYPORT_STATE_DIR: stateDir, SALLYPORT_JOIN_TOKEN_FILE: tokenFile,
  });
  const { reports } = lab.mesh.operator;
  const own = `/proxy/${proxy}`;
  // A report that names the workload's SVID comes from a proxy that is configured and ready.
  await until(`${proxy} to be ready`, () => {
    if (child.exitCode !== null) throw new Error(`the proxy ended: ${lastWords(log)}`);
    return reports.some(({ svids }) => svids.length === 2 && svids.some(({ spiffeId }) => spiffeId.endsWith(own)));
  });
  return child;
}
