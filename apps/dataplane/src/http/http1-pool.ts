import type { Link } from '../link/link.ts';
import type { Edits, RequestMessage, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import { type ClientUser, Http1Client } from './http1-client.ts';
import { Http1Outgoing } from './http1-outgoing.ts';

const MAX_CONNECTIONS = 512;
/** Calls that wait for one of them. More than these would wait in vain. */
const MAX_WAITING = 4_096;

/** Keep-alive connections of HTTP/1.1 to one place under one identity. */
export class Http1Pool implements UpstreamPool, ClientUser {
  readonly #dial: () => Promise<Link>;
  readonly #clients = new Set<Http1Client>();
  /** The last one that was used comes first: those that are not needed grow old and go. */
  readonly #idle: Http1Client[] = [];
  readonly #waiting: Http1Outgoing[] = [];
  #dialing = 0;
  #load = 0;
  #retired = false;
  readonly defect: (error: unknown) => void;

  /**
   * @param dial makes a connection that is ready for the first byte; its error reaches a call that waits for it
   * @param defect told of a failure of this program itself
   */
  constructor(dial: () => Promise<Link>, defect: (error: unknown) => void) {
    this.#dial = dial;
    this.defect = defect;
  }

  get load(): number {
    return this.#load;
  }

  call(request: RequestMessage, target: string, edits: Edits, body: boolean, user: UpstreamUser): Upstream {
    const call = new Http1Outgoing(request, target, edits, body, user, (over) => this.#left(over));
    this.#load += 1;
    const client = this.#take();
    if (client !== null) client.begin(call);
    else this.#wait(call);
    return call;
  }

  retire(): void {
    this.#retired = true;
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) client.destroy();
  }

  free(client: Http1Client): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return client.begin(next);
    if (this.#retired) return client.destroy();
    client.park();
    this.#idle.push(client);
  }

  gone(client: Http1Client): void {
    this.#clients.delete(client);
    const at = this.#idle.lastIndexOf(client);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#dialMore();
  }

  #take(): Http1Client | null {
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      if (client.usable) return client;
      client.destroy();
    }
    return null;
  }

  #wait(call: Http1Outgoing): void {
    if (this.#waiting.length >= MAX_WAITING) {
      Promise.resolve().then(() => call.fail(new Error('too many calls wait for a connection'))).catch(this.defect);
      return;
    }
    this.#waiting.push(call);
    this.#dialMore();
  }

  #dialMore(): void {
    while (this.#dialing < this.#waiting.length && this.#clients.size + this.#dialing < MAX_CONNECTIONS) {
      this.#dialing += 1;
      this.#dial().then(
        (link) => this.#connected(link),
        (error: Error) => this.#unreachable(error),
      ).catch(this.defect);
    }
  }

  #connected(link: Link): void {
    this.#dialing -= 1;
    const client = new Http1Client(link, this);
    this.#clients.add(client);
    client.start();
    this.free(client);
  }

  /** One connection was for one call: the others have their own, which may fare better. */
  #unreachable(error: Error): void {
    this.#dialing -= 1;
    this.#waiting.shift()?.fail(error);
    this.#dialMore();
  }

  #left(call: Http1Outgoing): void {
    this.#load -= 1;
    if (this.#waiting.length === 0) return;
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
