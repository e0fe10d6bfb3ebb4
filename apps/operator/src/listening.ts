import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';

/**
 * Starts to listen.
 *
 * @returns the port, which is another than asked for where that was 0
 * @throws Error when the address is taken
 */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Stops listening, and breaks what is open. */
export function stopListening(server: HttpsServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
