import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

/** A way to a port of this machine that can be cut: who uses it finds the other side gone, and back at once when it is mended. */
export class Relay {
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();
  #cut = false;

  private constructor(port: number) {
    this.#server = net.createServer((socket) => {
      if (this.#cut) {
        socket.destroy();
        return;
      }
      const onward = net.connect(port, '127.0.0.1');
      this.#join(socket, onward);
      this.#join(onward, socket);
    });
  }

  /** @returns the relay, and the URL with its address in the place of the target's */
  static async to(target: string, host = '127.0.0.1'): Promise<{ relay: Relay; url: string }> {
    const url = new URL(target);
    const relay = new Relay(Number(url.port));
    relay.#server.listen(0, host);
    await once(relay.#server, 'listening');
    url.hostname = host;
    url.port = String((relay.#server.address() as AddressInfo).port);
    return { relay, url: url.href };
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#open) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(from: net.Socket, to: net.Socket): void {
    this.#open.add(from);
    from.on('error', () => undefined).on('close', () => {
      this.#open.delete(from);
      to.destroy();
    });
    from.pipe(to);
  }
}
