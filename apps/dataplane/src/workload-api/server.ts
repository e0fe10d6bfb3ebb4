import { chmodSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { bind } from '../listener/address.ts';
import type { Log } from '../telemetry/log.ts';
import { type Caller, callerReader, type ReadCaller } from './caller.ts';
import { SERVICE } from './grpc.ts';
import { serveGrpc } from './grpc-server.ts';
import { requireSecurityHeader, type WorkloadApiSource, workloadApiMethods } from './service.ts';

const MAX_CONNECTIONS = 1024;
/** One application must not take the places of the others. */
const MAX_CONNECTIONS_OF_USER = 64;

export interface WorkloadApiOptions {
  /** Path of the Unix socket. Everybody on the machine may connect: who gets what is decided by who they are. */
  readonly path: string;
  readonly source: (caller: Caller) => WorkloadApiSource;
  readonly log: Log;
  /** Only tests give one. */
  readonly readCaller?: ReadCaller;
}

/** The SPIFFE Workload Endpoint: applications get their identities over a Unix socket, without proving anything themselves. */
export class WorkloadApiServer {
  readonly #options: WorkloadApiOptions;
  readonly #server: net.Server;
  readonly #readCaller: ReadCaller;
  readonly #sockets = new Map<Socket, number>();

  /** @throws Error where callers cannot be identified */
  constructor(options: WorkloadApiOptions) {
    this.#options = options;
    this.#readCaller = options.readCaller ?? callerReader();
    this.#server = net.createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @throws Error naming the path */
  async listen(): Promise<void> {
    const { path, log } = this.#options;
    await bind(this.#server, { path });
    this.#server.on('error', (error) => log.error({ reason: error.message }, 'the Workload API failed to accept'));
    chmodSync(path, 0o666);
    log.info({ path }, 'Workload API served');
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #accept(socket: Socket): void {
    const { log, source } = this.#options;
    socket.on('error', () => socket.destroy());
    const caller = this.#readCaller(socket);
    const open = [...this.#sockets.values()].filter((uid) => uid === caller?.uid).length;
    if (!caller || open >= MAX_CONNECTIONS_OF_USER) {
      log.warn({ uid: caller?.uid ?? null, open }, 'Workload API connection refused: caller unknown or with too many connections');
      socket.destroy();
      return;
    }
    this.#sockets.set(socket, caller.uid);
    socket.once('close', () => this.#sockets.delete(socket));
    log.debug({ ...caller }, 'Workload API connection');
    const defect = (error: unknown) => log.error({ reason: (error as Error).message, stack: (error as Error).stack }, 'a Workload API call failed because of a defect');
    serveGrpc(socket, SERVICE, workloadApiMethods(source(caller)), requireSecurityHeader, defect);
  }
}
