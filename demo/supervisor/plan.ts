import type { Place } from '../shop/place.ts';
import { loadFederation, loadTopology, type Topology } from '../shop/topology.ts';
import { freeNetwork, freePort } from './ports.ts';
import { credentials, type Folders, partnerFolders, type State } from './state.ts';

/** Everything that is decided before the first process starts; it holds until the demo ends. */
export interface Plan {
  readonly state: State;
  readonly place: Place;
  readonly ports: { readonly console: number; readonly postgres: number };
  readonly account: { readonly username: string; readonly password: string };
  readonly shop: Realm;
  /** The trust domain that the shop federates with. */
  readonly partner: Realm | null;
}

/** One trust domain: its operator and its proxies. */
export interface Realm {
  readonly topology: Topology;
  readonly folders: Folders;
  readonly operator: { readonly name: string; readonly heapMiB: number };
  readonly ports: RealmPorts;
}
interface RealmPorts {
  readonly api: number;
  readonly join: number;
  readonly stream: number;
  /** Of the bundle endpoint; null without a partner to serve. */
  readonly bundle: number | null;
  /** Admin port of each proxy by its name. */
  readonly admin: Readonly<Record<string, number>>;
}

const WANTED = { console: 3470, api: 8470, join: 8471, stream: 8472, bundle: 8473, postgres: 5470, admin: 8480 } as const;
type Pick = (name: keyof typeof WANTED, by?: number) => Promise<number>;

/** The partner's ports are the shop's, so much further. */
const PARTNER_BY = 100;

/** Looks for free ports and addresses; those that are not the usual ones are said to `note`. */
export async function makePlan(state: State, federated: boolean, note: (text: string) => void): Promise<Plan> {
  const given = new Set<number>();
  const pick: Pick = async (name, by = 0) => {
    const wanted = WANTED[name] + by;
    const port = await freePort(wanted, given);
    // Only these two are typed by people; proxies and operator are told theirs.
    if ((name === 'console' || name === 'api') && port !== wanted) note(`port ${wanted} (${name}) is taken; using ${port}`);
    return port;
  };
  const { shop, partner } = federated ? loadFederation() : { shop: loadTopology(), partner: null };
  const ports = { console: await pick('console'), postgres: await pick('postgres') };
  const realm = {
    shop: { topology: shop, folders: state, operator: { name: 'operator', heapMiB: 320 }, ports: await realmPorts(shop, pick, 0) },
    partner: partner && { topology: partner, folders: partnerFolders(state), operator: { name: 'partner-operator', heapMiB: 192 }, ports: await realmPorts(partner, pick, PARTNER_BY) },
  };
  const network = await freeNetwork(shop);
  if (network !== '127.77') note(`the loopback network 127.77 is in use; using ${network}`);
  return { state, place: { run: state.run, network }, ports, account: credentials(state), ...realm };
}

async function realmPorts(topology: Topology, pick: Pick, by: number): Promise<RealmPorts> {
  const fixed = { api: await pick('api', by), join: await pick('join', by), stream: await pick('stream', by) };
  const admin: Record<string, number> = {};
  for (const proxy of topology.proxies) admin[proxy.name] = await pick('admin', by);
  return { ...fixed, bundle: topology.partner === null ? null : await pick('bundle', by), admin };
}

/** Address of one of the demo's own servers. */
export function local(scheme: 'http' | 'https', port: number): string {
  return `${scheme}://127.0.0.1:${port}`;
}
