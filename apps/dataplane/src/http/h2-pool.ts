import { createHash } from 'node:crypto';
import type { Link } from '../link/link.ts';
import { retirement } from '../listener/retirement.ts';
import type { Place } from '../traffic/breaker.ts';
import type { Field, MessageHead, Stream } from '../wire/index.ts';
import { type ConnectionGate, type GatedPool, OverloadError } from './connection-gate.ts';
import type { Edits, RequestMessage, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import { Carrier, type CarrierUser, WITH_APPLICATIONS } from './h2-carrier.ts';
import { OutgoingCall } from './h2-outgoing.ts';

/** Connections to one place: each carries as many calls as the other side lets it. */
const MAX_CONNECTIONS = 32;
/** Calls that wait for one of them. More than these would wait in vain. */
const MAX_WAITING = 4_096;

/** Calls by HTTP/2 with prior knowledge, RFC 9113 §3.3: one connection, and more only when its streams are used up. */
export class H2Pool implements UpstreamPool, GatedPool {
  readonly #dial: () => Promise<Link>;
  readonly #defect: (error: unknown) => void;
  readonly #gate: ConnectionGate | null;
  readonly #connections = new Set<H2Client>();
  /** The place that a connection more waits for. */
  #turn: Place | null = null;
  readonly #open = new Set<OutgoingCall>();
  #waiting: OutgoingCall[] = [];
  #dialing = 0;
  #retired = false;

  /**
   * @param dial makes a connection that is ready for the first byte; its error reaches the calls that wait for it
   * @param defect told of failures of this program itself; the connection was broken
   * @param gate what bounds its connections together with those of other pools
   */
  constructor(dial: () => Promise<Link>, defect: (error: unknown) => void, gate: ConnectionGate | null = null) {
    this.#dial = dial;
    this.#defect = defect;
    this.#gate = gate;
    gate?.join(this);
  }

  get load(): number {
    return this.#open.size;
  }

  call(request: RequestMessage, target: string, edits: Edits, body: boolean, user: UpstreamUser): Upstream {
    const to = { method: request.method, webSocketAccept: request.webSocket ? acceptOf(request) : null };
    const call = new OutgoingCall(request.toHttp2(target, edits), !body && !request.webSocket, to, user, (over) => this.#left(over));
    this.#open.add(call);
    if (this.#waiting.length > 0 || !this.#begin(call)) this.#wait(call);
    return call;
  }

  retire(): void {
    this.#retired = true;
    this.#gate?.leave(this);
    this.#settle();
  }

  giveUpIdle(): boolean {
    for (const client of this.#connections) if (client.giveUp()) return true;
    return false;
  }

  #begin(call: OutgoingCall): boolean {
    for (const client of this.#connections) if (client.usable && call.begin(client.carrier)) return true;
    return false;
  }

  #wait(call: OutgoingCall): void {
    if (this.#waiting.length >= MAX_WAITING) return queueMicrotask(() => call.fail(new Error('too many calls wait for a connection'), true));
    this.#waiting.push(call);
    if (this.#dialing === 0) this.#ask();
  }

  /** One connection more, when there is room for one. */
  #ask(): void {
    if (this.#connections.size >= MAX_CONNECTIONS) return;
    if (this.#gate === null) return this.#connect(null);
    if (this.#turn === null) {
      const place = this.#gate.enter(() => {
        const turn = this.#turn;
        this.#turn = null;
        if (turn !== null) this.#connect(turn);
      });
      if (place !== null && !place.waiting) return this.#connect(place);
      this.#turn = place;
    }
    // Nothing is on its way for them.
    for (const call of this.#waiting.splice(this.#gate.mayWait)) queueMicrotask(() => call.fail(new OverloadError('the traffic policy allows no more connections'), true));
  }

  #connect(place: Place | null): void {
    this.#dialing += 1;
    this.#dial().then(
      (link) => this.#connected(link, place),
      (error: Error) => {
        this.#dialing -= 1;
        place?.leave();
        this.#unreachable(error);
      },
    );
  }

  #connected(link: Link, place: Place | null): void {
    const client = new H2Client(link, place, {
      ready: () => {
        this.#dialing -= 1;
        this.#serve();
      },
      room: () => this.#serve(),
      gone: (reason) => {
        this.#connections.delete(client);
        place?.leave();
        // Whoever never spoke HTTP/2 will not the next time.
        if (client.ready) return this.#serve();
        this.#dialing -= 1;
        this.#unreachable(new Error(`no HTTP/2 there: ${reason}`));
      },
      defect: this.#defect,
    });
    this.#connections.add(client);
    client.carrier.start();
  }

  #unreachable(error: Error): void {
    // Others are at work, and a call that waits for a free stream there did not ask for this connection alone.
    if (this.#connections.size > 0) return this.#settle();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.fail(error, true);
  }

  /** Begins as many of the waiting calls as there is room for, in their order. */
  #serve(): void {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      if (this.#begin(call)) continue;
      this.#waiting.unshift(call);
      break;
    }
    if (this.#waiting.length > 0 && this.#dialing === 0) this.#ask();
    this.#settle();
  }

  #left(call: OutgoingCall): void {
    this.#open.delete(call);
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (at >= 0 && this.#waiting.length === 0) this.#makeWay();
  }

  /** Nobody waits here: what others wait for is theirs. */
  #makeWay(): void {
    this.#turn?.leave();
    this.#turn = null;
    if (this.#gate?.crowded === true) this.giveUpIdle();
  }

  /** After the pool's retirement connections go once nobody waits for them. */
  #settle(): void {
    if (this.#waiting.length === 0) this.#makeWay();
    if (!this.#retired || this.#waiting.length > 0) return;
    for (const client of this.#connections) client.carrier.retire();
  }
}

interface ClientUser {
  /** The other side said what it takes: only now is it known how many streams it wants. */
  ready(): void;
  /** A stream more may be opened. */
  room(): void;
  gone(reason: string): void;
  defect(error: unknown): void;
}

/** One connection to an application or a peer. */
class H2Client implements CarrierUser<OutgoingCall> {
  readonly carrier: Carrier<OutgoingCall>;
  ready = false;
  readonly #user: ClientUser;
  readonly #retireAt = retirement();
  readonly #place: Place | null;
  #reason = 'the connection closed';

  /** @param place what it holds where their number is limited */
  constructor(link: Link, place: Place | null, user: ClientUser) {
    this.#place = place;
    this.#user = user;
    this.carrier = new Carrier<OutgoingCall>(link, { role: 'client' }, this, WITH_APPLICATIONS);
  }

  get usable(): boolean {
    const { link, connection } = this.carrier;
    if (!this.ready || link.destroyed || link.retiring || !connection.canOpen) return false;
    if (Date.now() < this.#retireAt) return true;
    this.carrier.retire();
    return false;
  }

  /** Ends it when it carries nothing; its place is free at once. */
  giveUp(): boolean {
    if (!this.ready || this.carrier.connection.streamCount > 0 || !this.carrier.connection.canOpen) return false;
    this.carrier.retire();
    this.#place?.leave();
    return true;
  }

  onReady(): void {
    this.ready = true;
    this.#user.ready();
  }

  onHeaders({ owner }: Stream<OutgoingCall>, head: MessageHead, end: boolean): void {
    owner?.takeHead(head, end);
    this.#roomAfter(end);
  }

  onData({ owner }: Stream<OutgoingCall>, data: Buffer, end: boolean): void {
    owner?.takeData(data, end);
    this.#roomAfter(end);
  }

  onTrailers({ owner }: Stream<OutgoingCall>, fields: readonly Field[]): void {
    owner?.takeTrailers(fields);
    this.#roomAfter(true);
  }

  onReset({ owner }: Stream<OutgoingCall>, code: number, retryable: boolean): void {
    owner?.wasReset(code, retryable, `the call was reset (${code}): ${this.#reason}`);
    this.#roomAfter(true);
  }

  onDrain({ owner }: Stream<OutgoingCall>): void {
    owner?.drained();
  }

  onGoAway(code: number, debug: string): void {
    this.#reason = `goodbye (${code}) ${debug}`;
    // What is open below the last stream finishes; then there is nothing to keep the connection for.
    this.carrier.retire();
    this.#user.room();
  }

  onRefused(reason: string): void {
    this.#reason = reason;
  }

  onDefect(error: unknown): void {
    this.#user.defect(error);
  }

  onGone(_code: number, reason: string): void {
    if (reason !== '') this.#reason = reason;
    this.#user.gone(this.#reason);
  }

  #roomAfter(end: boolean): void {
    if (end) this.#user.room();
  }
}

/** RFC 6455 §4.2.2: what proves to the client that its handshake was read; '' to a client of HTTP/2, which has no such. */
function acceptOf(request: RequestMessage): string {
  const key = request.header('sec-websocket-key');
  return key === null || request.version === '2' ? '' : createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
