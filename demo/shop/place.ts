import { join } from 'node:path';
import { type ShopWorkload, type Target, type Topology } from './topology.ts';

/** Where one run of the shop lives: its socket files and its loopback network. */
export interface Place {
  /** Folder of the Unix sockets, mode 0700. */
  readonly run: string;
  /** First two octets of the mesh's addresses, such as `127.77`. */
  readonly network: string;
}

/**
 * The shop runs as three processes: `inside-a` and `inside-b` hold the services of the two nodes, `outside` holds those
 * who act past the mesh or against it. `partner` holds those of the other trust domain, if there is one.
 */
export const PARTS = ['inside-a', 'inside-b', 'outside', 'partner'] as const;
export type Part = (typeof PARTS)[number];

/** The longest name that a socket file gets below {@link Place.run}; sun_path holds 107 bytes. */
export const LONGEST_SOCKET_NAME = 40;

const OUTSIDE = 9;
/** Host numbers that are told to people or used by attacks: they stay when the topology grows. */
const FIXED_HOSTS: Readonly<Record<string, number>> = { 'legacy-billing': 1, rogue: 66 };

/**
 * The mesh address of a workload: `<network>.<node>.<n>`. Node 9 is for those outside the mesh and for the rogue
 * workload, whose plaintext must not look like a node's.
 */
export function addressOf(topology: Topology, workload: ShopWorkload, place: Place): string {
  const fixed = FIXED_HOSTS[workload.name];
  if (fixed !== undefined) return `${place.network}.${OUTSIDE}.${fixed}`;
  const home = topology.partner?.workloads.includes(workload) ? topology.partner : topology;
  const node = home.proxies.findIndex((proxy) => proxy.name === workload.proxy) + home.firstNode;
  const position = home.workloads.filter((item) => item.proxy === workload.proxy).indexOf(workload) + 1;
  return `${place.network}.${node}.${position}`;
}

/** Socket on which the application itself listens; only its proxy connects there. */
export function appSocket(place: Place, name: string): string {
  return join(place.run, `${name}.in`);
}

/** Socket on which the proxy takes the application's HTTP calls. */
export function outboundSocket(place: Place, name: string): string {
  return join(place.run, `${name}.out`);
}

/** Socket on which the proxy takes the application's TCP connections to one service. */
export function tcpSocket(place: Place, name: string, to: Target): string {
  return join(place.run, `${name}-${to.name}.tcp`);
}

/** Socket on which an application process answers the supervisor. */
export function controlSocket(place: Place, part: string): string {
  return join(place.run, `${part}.ctl`);
}
