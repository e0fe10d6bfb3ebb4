import { existsSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../../tools/postgres.ts';
import { startTether, type Tether } from '../../tools/tether.ts';
import { controlSocket, PARTS } from '../shop/place.ts';
import { federatedTrustDomain, federationResources, shopResources, shopWorkloads } from '../shop/resources.ts';
import type { ShopProxy } from '../shop/topology.ts';
import { LogFile } from './log-file.ts';
import { isUp, OperatorApi } from './operator-api.ts';
import { bundleEndpoint, partnerDatabase } from './partner.ts';
import { local, type Plan, type Realm } from './plan.ts';
import { processUnit, type ProcessSpec } from './process-unit.ts';
import { appsSpec, consoleSpec, operatorSpec, proxySpec, ROOT, tokenFile } from './specs.ts';
import { type DemoRecord, writePrivate } from './state.ts';
import { Supervised, type Unit } from './unit.ts';

const READY_MS = 90_000;
const POLL_MS = 150;
/** Starts of one unit that may fail before it was ever ready. */
const MAX_FAILED_STARTS = 3;

/** A trust domain with the way to its operator. */
interface Side {
  readonly realm: Realm;
  readonly api: OperatorApi;
}

/** All processes of one demo, from their first start to their end. */
export class Demo {
  readonly #plan: Plan;
  readonly #note: (text: string) => void;
  readonly #tether: Tether = startTether();
  readonly #shop: Side;
  readonly #partner: Side | null;
  /** In the order of their start, in groups: a group ends before the one that it depends on. */
  readonly #groups: Supervised[][] = [[], [], [], []];
  readonly #logs = new Map<string, LogFile>();
  #stopping = false;
  #ready = false;

  constructor(plan: Plan, note: (text: string) => void) {
    this.#plan = plan;
    this.#note = note;
    const side = (realm: Realm): Side => ({ realm, api: new OperatorApi(local('http', realm.ports.api), plan.account) });
    this.#shop = side(plan.shop);
    this.#partner = plan.partner && side(plan.partner);
  }

  /** Starts everything and returns when calls flow and each proxy has reported. @throws Error naming what failed */
  async up(): Promise<DemoRecord> {
    if (!existsSync(join(ROOT, 'apps/web/.next/BUILD_ID'))) throw new Error('the console is not built. Remedy: start with "npm run demo", which builds it');
    await this.#startOperators(await this.#startDatabase());
    for (const side of this.#sides) await this.#seed(side);
    if (this.#partner !== null) await this.#federate(this.#shop, this.#partner);
    await this.#startMesh();
    this.#note('waiting for calls and for each proxy’s first report');
    for (const side of this.#sides) await this.#until('the first telemetry', async () => await this.#flows(side), this.#groups.flat());
    this.#ready = true;
    return this.#writeRecord();
  }

  get #sides(): Side[] {
    return this.#partner === null ? [this.#shop] : [this.#shop, this.#partner];
  }

  async #seed({ realm: { topology }, api }: Side): Promise<void> {
    const seeded = await api.has('Mesh/default');
    const who = topology === this.#plan.shop.topology ? 'shop' : 'partner';
    this.#note(seeded ? `${who}: known from the last run; telling the operator where it is now` : `${who}: applying its resources`);
    await api.apply(seeded ? shopWorkloads(topology, this.#plan.place) : shopResources(topology, this.#plan.place));
  }

  /** Each gets the other's bundle once, and fetches it by itself from then on. */
  async #federate(shop: Side, partner: Side): Promise<void> {
    this.#note(`federation: ${shop.realm.topology.trustDomain} and ${partner.realm.topology.trustDomain} exchange their bundles`);
    for (const [{ realm: { topology }, api }, other] of [[shop, partner], [partner, shop]] as const) {
      const federation = federatedTrustDomain(topology, await bundleEndpoint(other.realm));
      const known = await api.has(`FederatedTrustDomain/${federation.metadata.name}`);
      await api.apply([...(known ? [] : federationResources(topology)), federation]);
    }
  }

  async #startDatabase(): Promise<() => string> {
    const own = process.env['DATABASE_URL'];
    if (own) {
      this.#note(`PostgreSQL: using the one that DATABASE_URL names, at ${new URL(own).host}`);
      return () => own;
    }
    this.#note('PostgreSQL: starting');
    let url = '';
    const log = this.#log('postgres');
    const unit: Unit = {
      name: 'postgres',
      start: async () => {
        const server = await startPostgres({ dataDir: this.#plan.state.pg, port: this.#plan.ports.postgres, log: (line) => log.write(`${line}\n`) });
        url = server.url;
        return { pid: server.pid, ended: server.exited.then(() => 'see postgres.log'), stop: async () => await server.stop() };
      },
    };
    await this.#start(unit, 0);
    return () => url;
  }

  async #startOperators(databaseUrl: () => string): Promise<void> {
    this.#note('operator and console: starting');
    const started = [await this.#startProcess(operatorSpec(this.#plan, this.#shop.realm, databaseUrl), 1)];
    // The console needs nobody to start, and takes the longest to.
    await this.#startProcess(consoleSpec(this.#plan), 3);
    if (this.#partner !== null) {
      const beside = await partnerDatabase(databaseUrl());
      started.push(await this.#startProcess(operatorSpec(this.#plan, this.#partner.realm, () => beside), 1));
    }
    for (const { realm, api } of this.#sides) await this.#until(`the ${realm.operator.name}`, async () => await api.isReady(), started);
  }

  /** Proxies first: calls that come while a proxy has no identity yet would stand in the graph as failures. */
  async #startMesh(): Promise<void> {
    const proxies = this.#sides.flatMap((side) => side.realm.topology.proxies.map((proxy) => ({ side, proxy })));
    this.#note(`proxies: starting ${proxies.map(({ proxy }) => proxy.name).join(', ')}`);
    await Promise.all(
      proxies.map(async ({ side, proxy }) => {
        const started = await this.#startProcess(proxySpec(side.realm, proxy, async () => await this.#renewToken(side, proxy)), 2);
        const url = `${local('http', side.realm.ports.admin[proxy.name] ?? 0)}/readyz`;
        await this.#until(`proxy ${proxy.name}`, async () => await isUp(url), [started]);
      }),
    );
    this.#note('applications: starting');
    await Promise.all(
      PARTS.filter((part) => part !== 'partner' || this.#partner !== null).map(async (part) => {
        const started = await this.#startProcess(appsSpec(this.#plan, part), 3);
        await this.#until(`shop ${part}`, async () => await this.#answers(part), [started]);
      }),
    );
    await this.#until('the console', async () => await isUp(`${local('http', this.#plan.ports.console)}/signin`), this.#groups[3] ?? []);
  }

  /** A proxy that never enrolled needs a fresh token: a used or expired one would lock it out for good. */
  async #renewToken({ realm, api }: Side, proxy: ShopProxy): Promise<void> {
    const machineKey = join(realm.folders.proxies, proxy.name, 'machine-key.pem');
    try {
      const known = (await api.proxies()).items.some((item) => item.name === proxy.name);
      if (known && existsSync(machineKey)) return;
      writeFileSync(tokenFile(realm, proxy.name), await api.joinToken(proxy.name, proxy.role), { mode: 0o600 });
    } catch (error) {
      // Without the operator an enrolled proxy runs on its last configuration; that start must not wait for it.
      if (!existsSync(machineKey)) throw error;
    }
  }

  async #answers(part: string): Promise<boolean> {
    return await new Promise((resolve) => {
      const probe = request({ socketPath: controlSocket(this.#plan.place, part), path: '/healthz', agent: false, timeout: 2_000 }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      probe.on('timeout', () => probe.destroy());
      probe.on('error', () => resolve(false));
      probe.end();
    });
  }

  /** True when every proxy has reported and the operator's graph holds calls. */
  async #flows({ realm, api }: Side): Promise<boolean> {
    const known = (await api.proxies()).items;
    if (!realm.topology.proxies.every(({ name }) => known.some((item) => item.name === name && item.live))) return false;
    const graph = await api.graph('1m');
    return graph.edges.some((edge) => edge.mtls.mutual > 0);
  }

  async #startProcess(spec: ProcessSpec, group: number): Promise<Supervised> {
    return await this.#start(processUnit(spec, this.#log(spec.name), this.#tether), group);
  }

  async #start(unit: Unit, group: number): Promise<Supervised> {
    if (this.#stopping) throw new Error('stopped while it was starting');
    const supervised = new Supervised(unit, (text) => {
      this.#note(text);
      if (this.#ready) this.#writeRecord();
    });
    this.#groups[group]?.push(supervised);
    await supervised.start();
    return supervised;
  }

  #log(name: string): LogFile {
    const log = new LogFile(join(this.#plan.state.logs, `${name}.log`));
    this.#logs.set(name, log);
    return log;
  }

  async #until(what: string, check: () => Promise<boolean>, units: readonly Supervised[]): Promise<void> {
    const limit = Date.now() + READY_MS;
    let last = '';
    for (;;) {
      if (this.#stopping) throw new Error('stopped while it was starting');
      try {
        if (await check()) return;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      const broken = units.find((unit) => unit.restarts >= MAX_FAILED_STARTS);
      if (broken) throw new Error(this.#failure(`${what} does not start: process ${broken.unit.name} ended ${broken.restarts} times`, [broken]));
      if (Date.now() > limit) throw new Error(this.#failure(`${what} was not ready after ${READY_MS / 1000} s${last === '' ? '' : ` (${last})`}`, units.slice(0, 2)));
      await sleep(POLL_MS);
    }
  }

  #failure(what: string, units: readonly Supervised[]): string {
    const tails = units.map(({ unit: { name } }) => `--- last lines of ${join(this.#plan.state.logs, `${name}.log`)}\n${this.#logs.get(name)?.tail(15) ?? ''}`);
    return `${what}\n${tails.join('\n')}\nRemedy: mend what these lines name; if the data is broken and not needed, "npm run demo:reset" starts afresh`;
  }

  #writeRecord(): DemoRecord {
    const { ports, account, place, shop, partner, state } = this.#plan;
    const { admin, api, join: joinPort, stream } = shop.ports;
    const record: DemoRecord = {
      consoleUrl: local('http', ports.console),
      apiUrl: local('http', api),
      username: account.username,
      password: account.password,
      pid: process.pid,
      network: place.network,
      partner: partner && { trustDomain: partner.topology.trustDomain, apiUrl: local('http', partner.ports.api) },
      ports: { ...ports, api, join: joinPort, stream },
      proxies: shop.topology.proxies.map(({ name, role }) => ({ name, role, adminUrl: local('http', admin[name] ?? 0) })),
      processes: Object.fromEntries(this.#groups.flat().map((item) => [item.unit.name, item.pid])),
    };
    writePrivate(join(state.dir, 'demo.json'), record);
    return record;
  }

  /** Ends everything, those first that depend on others, and returns when nothing is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const group of this.#groups.toReversed()) await Promise.all(group.map(async (item) => await item.stop()));
    this.#tether.end();
    for (const log of this.#logs.values()) log.close();
  }
}
