import type { Link } from '../link/link.ts';
import type { Place } from '../traffic/breaker.ts';
import { type ConnectionGate, type GatedPool, OverloadError } from './connection-gate.ts';
import type { Edits, RequestMessage, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import { type ClientUser, Http1Client } from './http1-client.ts';
import { Http1Outgoing } from './http1-outgoing.ts';
import { isIdempotent } from './idempotent.ts';

const MAX_CONNECTIONS = 512;
/** A call that could not be sent again goes on no connection that was idle for longer, in seconds: the other side may be closing it. */
const FRESH_S = 2;
/** Calls that wait for one of them. More than these would wait in vain. */
const MAX_WAITING = 4_096;

/** Keep-alive connections of HTTP/1.1 to one place under one identity. */
export class Http1Pool implements UpstreamPool, ClientUser, GatedPool {
  readonly #dial: () => Promise<Link>;
  readonly #gate: ConnectionGate | null;
  /** With the place that each holds where their number is limited. */
  readonly #clients = new Map<Http1Client, Place | null>();
  /** Places for connections that calls wait for. */
  readonly #turns: Place[] = [];
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
   * @param gate what bounds its connections together with those of other pools
   */
  constructor(dial: () => Promise<Link>, defect: (error: unknown) => void, gate: ConnectionGate | null = null) {
    this.#dial = dial;
    this.defect = defect;
    this.#gate = gate;
    gate?.join(this);
  }

  get load(): number {
    return this.#load;
  }

  call(request: RequestMessage, target: string, edits: Edits, body: boolean, user: UpstreamUser): Upstream {
    const call = new Http1Outgoing(request, target, edits, body, user, (over) => this.#left(over));
    this.#load += 1;
    const client = this.#take(body || !isIdempotent(request.method));
    if (client !== null) client.begin(call);
    else this.#wait(call);
    return call;
  }

  retire(): void {
    this.#retired = true;
    this.#gate?.leave(this);
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) client.destroy();
  }

  free(client: Http1Client): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#giveTurnsBack();
      return client.begin(next);
    }
    if (this.#retired || this.#gate?.crowded === true) return client.destroy();
    client.park();
    this.#idle.push(client);
  }

  gone(client: Http1Client): void {
    this.detached(client)();
    const at = this.#idle.lastIndexOf(client);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#dialMore();
  }

  detached(client: Http1Client): () => void {
    const place = this.#clients.get(client);
    this.#clients.delete(client);
    return () => place?.leave();
  }

  giveUpIdle(): boolean {
    const oldest = this.#idle.shift();
    oldest?.destroy();
    return oldest !== undefined;
  }

  /** @param once the call can be sent but once */
  #take(once: boolean): Http1Client | null {
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      if (once && client.idle >= FRESH_S) return this.#leaveIdle(client);
      if (client.usable) return client;
      client.destroy();
    }
    return null;
  }

  /** What was idle for longer is below it. Where there is no room for a fresh connection, one of them makes it. */
  #leaveIdle(client: Http1Client): null {
    this.#idle.push(client);
    if (this.#clients.size + this.#dialing >= MAX_CONNECTIONS) this.giveUpIdle();
    return null;
  }

  #wait(call: Http1Outgoing): void {
    if (this.#waiting.length >= MAX_WAITING) {
      return this.#refuse(call, new Error('too many calls wait for a connection'));
    }
    this.#waiting.push(call);
    this.#dialMore();
  }

  #dialMore(): void {
    while (this.#dialing + this.#turns.length < this.#waiting.length && this.#clients.size + this.#dialing < MAX_CONNECTIONS) {
      if (this.#gate === null) this.#connect(null);
      else this.#ask(this.#gate);
    }
  }

  /** Takes a place for one connection more, waits for one, or refuses the call that came last. */
  #ask(gate: ConnectionGate): void {
    let turn: Place | null = null;
    const place = gate.enter(() => {
      if (turn === null) return;
      this.#turns.splice(this.#turns.indexOf(turn), 1);
      this.#connect(turn);
    });
    turn = place;
    if (place === null) this.#refuse(this.#waiting.pop(), new OverloadError('the traffic policy allows no more connections'));
    else if (place.waiting) this.#turns.push(place);
    else this.#connect(place);
  }

  /** A call is told of nothing before it was made. */
  #refuse(call: Http1Outgoing | undefined, error: Error): void {
    Promise.resolve().then(() => call?.fail(error)).catch(this.defect);
  }

  #connect(place: Place | null): void {
    this.#dialing += 1;
    this.#dial().then(
      (link) => this.#connected(link, place),
      (error: Error) => this.#unreachable(error, place),
    ).catch(this.defect);
  }

  /** Nobody waits for a place on behalf of calls that have their connection. */
  #giveTurnsBack(): void {
    while (this.#turns.length > 0 && this.#dialing + this.#turns.length > this.#waiting.length) this.#turns.pop()?.leave();
  }

  #connected(link: Link, place: Place | null): void {
    this.#dialing -= 1;
    const client = new Http1Client(link, this);
    this.#clients.set(client, place);
    client.start();
    this.free(client);
  }

  /** One connection was for one call: the others have their own, which may fare better. */
  #unreachable(error: Error, place: Place | null): void {
    this.#dialing -= 1;
    place?.leave();
    this.#waiting.shift()?.fail(error);
    this.#dialMore();
  }

  #left(call: Http1Outgoing): void {
    this.#load -= 1;
    if (this.#waiting.length === 0) return;
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#giveTurnsBack();
  }
}
