import { createServer } from 'node:net';
import { addressOf, type Place } from '../shop/place.ts';
import type { Topology } from '../shop/topology.ts';

const TRIES = 50;

/** True when this address and port can be listened on now. @throws Error for an address that this machine lacks */
async function isFree(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRNOTAVAIL') reject(new Error(`the address ${host} is not on this machine's loopback interface`));
      else resolve(false);
    });
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

/**
 * The first free port of 127.0.0.1 from `wanted` on, not among those already given out.
 *
 * @throws Error when {@link TRIES} in a row are taken
 */
export async function freePort(wanted: number, given: Set<number>): Promise<number> {
  for (let port = wanted; port < wanted + TRIES; port += 1) {
    if (given.has(port) || !(await isFree('127.0.0.1', port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`the ports ${wanted} to ${wanted + TRIES - 1} of 127.0.0.1 are all taken. Remedy: end what uses them`);
}

/**
 * The first loopback network, `127.77` or one of the next, on which every mesh address of the shop is free, so that
 * two demos can run at once.
 *
 * @throws Error with the remedy when there is none, or when this system has no such addresses
 */
export async function freeNetwork(topology: Topology): Promise<string> {
  for (let second = 77; second < 97; second += 1) {
    const network = `127.${second}`;
    if (await allFree(topology, { run: '/', network })) return network;
  }
  throw new Error('the loopback networks 127.77 to 127.96 are all in use. Remedy: stop other demos (npm run demo:stop in their clones)');
}

async function allFree(topology: Topology, place: Place): Promise<boolean> {
  try {
    for (const workload of [...topology.workloads, ...(topology.partner?.workloads ?? [])]) {
      if (!(await isFree(addressOf(topology, workload, place), workload.port ?? 0))) return false;
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}, and the demo gives each workload one of its own. Remedy: run it on Linux, where all of 127.0.0.0/8 is loopback (a container or virtual machine will do)`, { cause: error });
  }
  return true;
}
