import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';

/** A place to listen at or to connect to. */
export type Address = { readonly path: string } | InetAddress;
export interface InetAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `unix:/path`, `host:port` or `[v6]:port`.
 *
 * @throws Error for anything else: the schema lets nothing else through
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) throw new Error(`${text} is neither unix:/path nor host:port`);
  // "localhost" may mean either family; an application that is meant listens on the first.
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** The text of an address for people and for keys. */
export function formatAddress(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * Starts to listen. A Unix socket gets mode 0600; a stale one, at which nobody answers, is removed first.
 *
 * @throws Error naming the address and what is in the way
 */
export async function bind(server: net.Server, address: Address): Promise<void> {
  try {
    if ('path' in address) await clearStale(address.path);
    await listen(server, address);
    if ('path' in address) chmodSync(address.path, 0o600);
  } catch (error) {
    throw new Error(`cannot listen on ${formatAddress(address)}: ${explain(error as NodeJS.ErrnoException)}`, { cause: error });
  }
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') return 'the address is in use by another process';
  if (error.code === 'EADDRNOTAVAIL') return 'this machine does not have that address';
  if (error.code === 'EACCES') return 'permission denied';
  return error.message;
}

function listen(server: net.Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function clearStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new Error('the path is there and is not a socket');
  if (await answers(path)) throw Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = net.connect({ path });
    const finish = (result: boolean) => {
      probe.destroy();
      resolve(result);
    };
    probe.setTimeout(1000, () => finish(true));
    probe.once('connect', () => finish(true));
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // Only a refused connection proves that nobody listens.
      if (error.code === 'ECONNREFUSED') finish(false);
      else reject(error);
    });
  });
}
