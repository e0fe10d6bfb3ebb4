import { pino, type Logger } from 'pino';
import { createApi, listenApi } from './api/server.ts';
import { Events } from './api/events.ts';
import { Authority } from './ca/authority.ts';
import { BundleAcks } from './ca/bundle-acks.ts';
import { CaStore } from './ca/ca-store.ts';
import { CaController } from './ca/controller.ts';
import { openEvidenceKey } from './ca/evidence-key.ts';
import { Issuance } from './ca/issuance.ts';
import { JwtIssuer } from './ca/jwt.ts';
import { KeyFiles } from './ca/key-files.ts';
import type { TakenStep } from './ca/rotation.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { reconcileDetections } from './controllers/signals.ts';
import { StatusController } from './controllers/status.ts';
import { StrictStepper } from './controllers/strict-step.ts';
import { FederationController, type FederationOptions } from './federation/controller.ts';
import { appendAudit, auditChain } from './history/audit.ts';
import { allOf } from './history/chain.ts';
import { CertificateLedger, certificateChain } from './history/certificates.ts';
import { pruneTelemetry } from './history/flows.ts';
import { JwtLedger, jwtChain } from './history/jwt-issuances.ts';
import { laggingProxies } from './history/proxies.ts';
import { becomeLeader, type Leadership } from './kubernetes/leadership.ts';
import { JwksController } from './jwks/controller.ts';
import type { KubeClient } from './kubernetes/client.ts';
import { connectCluster } from './kubernetes/connect.ts';
import { openInjection } from './kubernetes/injection/start.ts';
import { meshOf } from './observe/mesh-state.ts';
import type { StrictSources } from './observe/views/strict.ts';
import { startProxyPorts } from './push/ports.ts';
import { PushHub } from './push/hub.ts';
import type { World } from './push/snapshot.ts';
import type { ResourceCache } from './store/cache.ts';
import { type OpenStore, openStore } from './store/open.ts';
import { refreshHint, type SpiffeBundle } from '@sallyport/shared/pki';
import { durationMs, type Workload } from '@sallyport/shared/resources';
import { repeat } from './schedule.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The first SVID of the operator comes before the Mesh, which may want short lives. */
const BEFORE_MESH = HOUR / 6;

function message(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}

function worldReader(config: Config, cache: ResourceCache, { authority, jwks, jwt, federation }: { authority: Authority; jwks: JwksController; jwt: JwtIssuer; federation: FederationController }) {
  return (): { world: World; version: string } => ({
    version: cache.revision,
    world: {
      mesh: meshOf(cache, config.trustDomain),
      trustDomain: config.trustDomain,
      roots: authority.roots(),
      bundleSequence: authority.document.sequence,
      jwtKeys: jwt.keys,
      federated: federation.bundles,
      workloads: cache.all('Workload'),
      services: cache.all('Service'),
      authorizationPolicies: cache.all('AuthorizationPolicy'),
      peerAuthentications: cache.all('PeerAuthentication'),
      requestAuthentications: cache.all('RequestAuthentication'),
      trafficPolicies: cache.all('TrafficPolicy'),
      keys: jwks.keys,
    },
  });
}

/** Keys of issuers and bundles of other trust domains, as they were known before a restart. */
async function startFetching({ trustDomain }: Config, common: Omit<FederationOptions, 'mesh'>): Promise<{ jwks: JwksController; federation: FederationController }> {
  const jwks = new JwksController({ ...common, trustDomain });
  const federation = new FederationController({ ...common, mesh: () => meshOf(common.cache, trustDomain).spec });
  await Promise.all([jwks.start(), federation.start()]);
  return { jwks, federation };
}

/** Our bundle for other trust domains. Both numbers only grow, and one of them does with every change. */
function ownBundle(authority: Authority, jwt: JwtIssuer, { policy }: CaController): SpiffeBundle {
  // The hint by which a root waits for them before it signs.
  const hint = Math.max(1, Math.floor(refreshHint(policy) / 1000));
  return { roots: authority.roots(), jwtKeys: jwt.keys, sequence: authority.document.sequence + jwt.sequence, refreshHint: hint };
}

function servingProxies(cache: ResourceCache): string[] {
  return [...new Set(cache.all('Workload').flatMap((workload) => workload.spec.proxy ?? []))].sort();
}

function findWorkload(cache: ResourceCache, namespace: string, name: string): Workload | null {
  return cache.all('Workload').find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) ?? null;
}

/** What runs on a clock. @returns what stops each */
function startJobs(parts: { sources: StrictSources; stepper: StrictStepper; jwks: JwksController; federation: FederationController; rotate: () => Promise<void>; events: Events; config: Config; log: Logger }): (() => Promise<void>)[] {
  const { sources, stepper, jwks, federation, rotate, events, config, log } = parts;
  const detect = async () => {
    if (await reconcileDetections(sources)) events.publish('signals');
  };
  const prune = async () => {
    const removed = await pruneTelemetry(sources.database, new Date(sources.now() - config.retentionDays * DAY));
    if (removed > 0) log.info({ removed }, 'old telemetry pruned');
  };
  return [repeat('certificate authority', 1_000, rotate, log), repeat('keys', 1_000, () => jwks.tick(), log), repeat('federation', 1_000, () => federation.tick(), log), repeat('strict steps', 1_000, () => stepper.tick(), log), repeat('signals', 5_000, detect, log), repeat('retention', HOUR, prune, log)];
}

/** Who has to know what changed. */
function followChanges({ cache, hub, keys, authority, status, events }: { cache: ResourceCache; hub: PushHub; keys: readonly (JwksController | JwtIssuer | FederationController)[]; authority: Authority; status: StatusController; events: Events }): void {
  cache.onChange(() => {
    hub.changed();
    status.changed();
    events.publish('resources');
  });
  hub.onChange(() => {
    status.changed();
    events.publish('proxies');
  });
  for (const source of keys) {
    source.onChange(() => {
      hub.changed();
      status.changed();
    });
  }
  authority.onChange(() => {
    hub.changed();
    status.changed();
    events.publish('ca');
  });
  status.changed();
}

function clusterOf({ cluster }: Config): (() => KubeClient) | null {
  return cluster && (() => connectCluster(cluster.kubeconfig));
}

/** The CA with its first root, its succession, and what issues from it. */
async function openCa({ config, ca, files, opened: { database, cache, pods }, log }: { config: Config; ca: CaStore; files: KeyFiles; opened: OpenStore; log: Logger }) {
  const now = Date.now;
  const { trustDomain } = config;
  const mesh = () => meshOf(cache, trustDomain).spec;
  const record = (steps: readonly TakenStep[]) => {
    const event = { actor: 'operator', via: 'system', action: 'rotate-ca', resource: `CertificateAuthority/${trustDomain}`, before: null, after: { steps } } as const;
    return database.$transaction((transaction) => appendAudit(transaction, event, now()));
  };
  const lagging = (sequence: number) => laggingProxies(database, sequence, now());
  const controller = new CaController({ store: ca, mesh, lagging, federated: () => config.bundleEndpoint !== null, cluster: clusterOf(config), record, now, log });
  await controller.tick();
  const ledger = new CertificateLedger(database);
  await ledger.chainEarlier();
  const authority = new Authority({ store: ca, now });
  const jwt = await JwtIssuer.open(files, now);
  const lifetime = () => durationMs(mesh().certificates.leafLifetime);
  // A root stays for as long as anything below it is valid, and our own SVID is renewed at no cost. An hour leaves room for clocks that differ.
  const ownLifetime = () => (cache.all('Mesh').length === 0 ? BEFORE_MESH : Math.min(HOUR, lifetime()));
  const workload = (namespace: string, name: string) => findWorkload(cache, namespace, name);
  const issuance = new Issuance({ authority, database, ledger, workload, trustDomain, lifetime, ownLifetime, withheld: () => controller.withheld, jwt, jwtLedger: new JwtLedger(database), pods, now });
  return { authority, controller, issuance, jwt };
}

/** Composition root: the only place that chooses adapters and ties rooms together. */
async function run(config: Config, { leading, advertise }: Leadership, ready: () => boolean, log: Logger): Promise<() => Promise<void>> {
  const now = Date.now;
  const files = new KeyFiles(config.stateDir, config.kekFile);
  const ca = CaStore.open(files, config.trustDomain, now());
  const opened = await openStore(config, leading, log);
  const { database, store, cache } = opened;
  const { authority, controller, issuance, jwt } = await openCa({ config, ca, files, opened, log });
  const { jwks, federation } = await startFetching(config, { cache, database, now, random: Math.random, log });
  const hub = new PushHub({ world: worldReader(config, cache, { authority, jwks, jwt, federation }), proxies: () => servingProxies(cache), now });
  const events = new Events();
  const sources: StrictSources = { database, cache, trustDomain: config.trustDomain, now, behind: (proxies) => hub.behind(proxies) };
  const stepper = new StrictStepper({ sources, store, log, onChange: () => events.publish('steps') });
  const status = new StatusController({ cache, store, hub, trustDomain: config.trustDomain, keys: (source) => jwks.state(source), ca: () => controller.condition, federation: (object) => federation.state(object), now, log });
  followChanges({ cache, hub, keys: [jwks, jwt, federation], authority, status, events });
  const acks = new BundleAcks(hub, database);
  const ports = await startProxyPorts({ config, authority, issuance, hub, database, bundle: () => (controller.withheld === null ? ownBundle(authority, jwt, controller) : null), now, onReport: () => events.publish('telemetry'), log });
  const api = createApi({ ...sources, store, authority, ca: controller, issuance, federation, hub, stepper, events, log, auditChain: auditChain(database), certificateChain: allOf(certificateChain(database), jwtChain(database)), evidenceKey: openEvidenceKey(files), ready });
  const http = await listenApi(api, config.host, config.ports.api);
  const jobs = startJobs({ sources, stepper, jwks, federation, rotate: () => acks.keep().then(() => controller.tick()).then(() => jwt.tick()), events, config, log });
  advertise({ api: http.port, join: ports.joinPort, stream: ports.streamPort, bundle: ports.bundlePort });
  log.info({ api: http.port, join: ports.joinPort, stream: ports.streamPort, bundle: ports.bundlePort, trustDomain: config.trustDomain }, 'operator ready');
  return async () => {
    await Promise.all([...jobs.map((stop) => stop()), jwks.close(), federation.close()]);
    await Promise.all([http.close(), ports.close()]);
    status.close();
    hub.close();
    controller.close();
    await opened.close();
  };
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = pino({ name: 'operator', level: config.logLevel });
  const starting = new AbortController();
  let stop = async () => starting.abort();
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, 'stopping');
      setTimeout(() => process.exit(1), 8_000).unref();
      void stop().then(() => process.exit(0));
    });
  }
  // Every replica gives pods their proxies: the API server asks any of them.
  const injection = await openInjection(config, log);
  const ready = () => injection.unready().length === 0;
  const leadership = await becomeLeader(config, ready, starting.signal, log);
  const stopRun = await run(config, leadership, ready, log);
  stop = async () => {
    await Promise.all([stopRun(), injection.close()]);
    // Last: until then the next leader must not begin.
    await leadership.release();
  };
}

try {
  await main();
} catch (error) {
  process.stderr.write(`operator: ${message(error)}\n`);
  process.exit(error instanceof ConfigError ? 2 : 1);
}
