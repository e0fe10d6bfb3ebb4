import type { Place } from '../shop/place.ts';
import { loadTopology, type Topology } from '../shop/topology.ts';
import { freeNetwork, freePort } from './ports.ts';
import { credentials, type State } from './state.ts';

/** Everything that is decided before the first process starts; it holds until the demo ends. */
export interface Plan {
  readonly state: State;
  readonly topology: Topology;
  readonly place: Place;
  readonly ports: Ports;
  readonly account: { readonly username: string; readonly password: string };
}
interface Ports {
  readonly console: number;
  readonly api: number;
  readonly join: number;
  readonly stream: number;
  readonly postgres: number;
  /** Admin port of each proxy by its name. */
  readonly admin: Readonly<Record<string, number>>;
}

const WANTED = { console: 3470, api: 8470, join: 8471, stream: 8472, postgres: 5470, admin: 8480 } as const;

/** Looks for free ports and addresses; those that are not the usual ones are said to `note`. */
export async function makePlan(state: State, note: (text: string) => void): Promise<Plan> {
  const topology = loadTopology();
  const given = new Set<number>();
  const pick = async (name: keyof typeof WANTED): Promise<number> => {
    const port = await freePort(WANTED[name], given);
    // Only these two are typed by people; proxies and operator are told theirs.
    if ((name === 'console' || name === 'api') && port !== WANTED[name]) note(`port ${WANTED[name]} (${name}) is taken; using ${port}`);
    return port;
  };
  const fixed = { console: await pick('console'), api: await pick('api'), join: await pick('join'), stream: await pick('stream'), postgres: await pick('postgres') };
  const admin: Record<string, number> = {};
  for (const proxy of topology.proxies) admin[proxy.name] = await pick('admin');
  const network = await freeNetwork(topology);
  if (network !== '127.77') note(`the loopback network 127.77 is in use; using ${network}`);
  return { state, topology, place: { run: state.run, network }, ports: { ...fixed, admin }, account: credentials(state) };
}

/** Address of one of the demo's own servers. */
export function local(scheme: 'http' | 'https', port: number): string {
  return `${scheme}://127.0.0.1:${port}`;
}
