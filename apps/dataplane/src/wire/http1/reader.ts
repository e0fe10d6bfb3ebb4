import { CR, LF } from '../bytes.ts';
import { Chunked } from './chunked.ts';
import { Fields, lineEnds, SCAN } from './fields.ts';
import { BODY, type RequestHead, type ResponseHead } from './head.ts';
import { Held } from './held.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

/** What a reader tells. Heads and trailers are valid until the next message is begun; bytes are the caller's to keep. */
export interface MessageHandler<H> {
  onHead(head: H): void;
  /** A piece of the body, as large as it came. */
  onBody(data: Buffer): void;
  /** The message is complete. Nothing more is read until the reader is asked for the next one. */
  onEnd(trailers: Fields | null): void;
  /** The bytes are no acceptable message. Nothing more is read; the connection must be closed after an answer. */
  onRefused(refusal: Refusal): void;
}

const STAGE = { START: 0, FIELDS: 1, LENGTH: 2, CHUNKED: 3, TRAILERS: 4, UNTIL_CLOSE: 5, ENDED: 6, REFUSED: 7 } as const;
const STAGE_OF_BODY = { [BODY.NONE]: STAGE.ENDED, [BODY.LENGTH]: STAGE.LENGTH, [BODY.CHUNKED]: STAGE.CHUNKED, [BODY.UNTIL_CLOSE]: STAGE.UNTIL_CLOSE } as const;

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_TRAILER_BYTES = 8 * 1024;
const NOTHING = Buffer.alloc(0);

/** Reads the messages of one direction of a connection, one after the other. What differs by direction is abstract. */
export abstract class MessageReader<H extends RequestHead | ResponseHead> {
  protected readonly head: H;
  readonly #handler: MessageHandler<H>;
  /** Few messages have any. */
  #trailers: Fields | null = null;
  readonly #chunked = new Chunked();
  #stage: number;
  #buffer: Buffer = NOTHING;
  /** What is unread: from here, while a head or trailers are incomplete the start of them, to `stop`. */
  #at = 0;
  #stop = 0;
  /** Between the current line's start and here there is no line end. */
  #looked = 0;
  #held: Held | null = null;
  #left = 0;
  #empty = 0;
  #running = false;
  #paused = false;
  #eof = false;

  constructor(head: H, handler: MessageHandler<H>, waiting: boolean) {
    this.head = head;
    this.#handler = handler;
    this.#stage = waiting ? STAGE.ENDED : STAGE.START;
  }

  /** Reads the start line: the offset after it, or see SCAN. May be asked again with more bytes. */
  protected abstract readStart(buffer: Buffer, at: number, stop: number): number;
  /** Judges the complete head. */
  protected abstract settle(): Refusal | null;
  /** False for an interim response, which another head follows. */
  protected abstract isFinal(): boolean;
  /** How many empty lines are forgiven before a start line. */
  protected abstract readonly emptyLines: number;
  /** True when the connection may end where a message would begin. */
  protected abstract readonly mayEnd: boolean;

  /** Takes bytes from the connection. What belongs to a later message, or comes while paused, is kept. */
  receive(chunk: Buffer): void {
    if (this.#stage === STAGE.REFUSED) return;
    if (this.#at === this.#stop) {
      this.#held = null;
      this.#buffer = chunk;
      this.#stop = chunk.length;
      this.#restart();
    } else {
      if (!this.#held || this.#at > 0) {
        this.#held = new Held(this.#buffer, this.#at, this.#stop);
        this.#looked = Math.max(0, this.#looked - this.#at);
        this.#restart();
      }
      this.#held.append(chunk);
      this.#buffer = this.#held.buffer;
      this.#stop = this.#held.length;
    }
    this.#run();
  }

  /** The other side will send no more. */
  end(): void {
    this.#eof = true;
    this.#run();
  }

  /** Begins the next message, with the bytes that were kept. Does nothing before `onEnd`. */
  protected advance(): void {
    if (this.#stage !== STAGE.ENDED) return;
    this.#stage = STAGE.START;
    this.#empty = 0;
    this.#run();
  }

  /** Stops reading after what is being told now; bytes that come are kept. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#run();
  }

  /** True while bytes wait that only the caller can get read: it should not take more from the connection. */
  get full(): boolean {
    return this.#at < this.#stop && (this.#paused || this.#stage === STAGE.ENDED);
  }

  /** True while bytes are held: between messages, those of a head that has begun. */
  get begun(): boolean {
    return this.#at < this.#stop;
  }

  /** Takes the bytes after the last message, for a connection that switched protocols. */
  takeRest(): Buffer {
    const rest = this.#buffer.subarray(this.#at, this.#stop);
    this.#at = this.#stop;
    return rest;
  }

  /** The bytes moved to the front of another buffer, so offsets into an incomplete part are void. */
  #restart(): void {
    if (this.#at === this.#stop || !this.#held) this.#looked = 0;
    this.#at = 0;
    if (this.#stage === STAGE.FIELDS) this.#stage = STAGE.START;
    if (this.#stage === STAGE.TRAILERS) this.#trailers?.begin(0);
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    let progress = true;
    while (progress && !this.#paused && this.#at < this.#stop) progress = this.#step();
    this.#running = false;
    if (this.#eof && !this.#paused) this.#conclude();
  }

  #conclude(): void {
    if (this.#stage === STAGE.UNTIL_CLOSE) return this.#finish(null);
    const between = this.#stage === STAGE.START && this.#at === this.#stop && this.mayEnd;
    if (!between && this.#stage !== STAGE.ENDED) this.#refuse(REFUSALS.cutOff);
  }

  /** Reads one part of what is there. False when that needs more bytes or the next message was not asked for. */
  #step(): boolean {
    switch (this.#stage) {
      case STAGE.START:
        return this.#readStart();
      case STAGE.FIELDS:
        return this.#readFields();
      case STAGE.LENGTH:
        return this.#readLength();
      case STAGE.CHUNKED:
        return this.#readChunked();
      case STAGE.TRAILERS:
        return this.#readTrailers();
      case STAGE.UNTIL_CLOSE:
        return this.#tell(this.#stop - this.#at);
      default:
        return false;
    }
  }

  #readStart(): boolean {
    if (!this.#skipEmptyLines()) return false;
    const start = this.#at;
    const stop = Math.min(this.#stop, start + MAX_HEAD_BYTES);
    const next = this.#complete(start, stop) ? this.readStart(this.#buffer, start, stop) : SCAN.MORE;
    if (next === SCAN.MORE) return this.#more(start, stop, MAX_HEAD_BYTES, this.#startTooLong(start, stop));
    if (next === SCAN.REFUSED) return this.#refuse(this.head.line.refusal);
    this.head.start = start;
    this.head.fields.begin(next);
    this.#stage = STAGE.FIELDS;
    return true;
  }

  /** What is too long when no head ends here: its first line, or all of it. Looked at only when that will be said. */
  #startTooLong(start: number, stop: number): Refusal {
    const full = stop - start >= MAX_HEAD_BYTES && this.#buffer.subarray(start, stop).includes(LF);
    return full ? REFUSALS.headTooLarge : REFUSALS.lineTooLong;
  }

  /** RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the request-line". */
  #skipEmptyLines(): boolean {
    while (this.#at + 1 < this.#stop && this.#buffer[this.#at] === CR && this.#buffer[this.#at + 1] === LF) {
      if (this.#empty === this.emptyLines) return this.#refuse(REFUSALS.emptyLines);
      this.#empty += 1;
      this.#at += 2;
    }
    return this.#at < this.#stop;
  }

  #readFields(): boolean {
    const { fields, start } = this.head;
    const stop = Math.min(this.#stop, start + MAX_HEAD_BYTES);
    const outcome = this.#complete(fields.next, stop) ? fields.scan(this.#buffer, stop) : SCAN.MORE;
    if (outcome === SCAN.MORE) return this.#more(start, stop, MAX_HEAD_BYTES, REFUSALS.headTooLarge);
    this.#at = fields.next;
    const problem = outcome === SCAN.REFUSED ? fields.refusal : this.settle();
    if (problem) return this.#refuse(problem);
    this.#begin();
    return true;
  }

  /** The head is told and its body comes next. */
  #begin(): void {
    const { head } = this;
    const final = this.isFinal();
    this.#left = head.length;
    if (head.body === BODY.CHUNKED) this.#chunked.begin();
    this.#stage = final ? STAGE_OF_BODY[head.body] : STAGE.START;
    this.#handler.onHead(head);
    if (final && head.body === BODY.NONE && this.#stage === STAGE.ENDED) this.#handler.onEnd(null);
  }

  #readLength(): boolean {
    const take = Math.min(this.#left, this.#stop - this.#at);
    this.#left -= take;
    this.#tell(take);
    if (this.#left === 0) this.#finish(null);
    return true;
  }

  #readChunked(): boolean {
    const take = this.#chunked.available(this.#at, this.#stop);
    if (take > 0) {
      this.#chunked.taken(take);
      return this.#tell(take);
    }
    this.#at = this.#chunked.frame(this.#buffer, this.#at, this.#stop);
    if (this.#chunked.refusal) return this.#refuse(this.#chunked.refusal);
    if (this.#chunked.ended) {
      this.#stage = STAGE.TRAILERS;
      this.#trailers ??= new Fields();
      this.#trailers.begin(this.#at);
    }
    return true;
  }

  #readTrailers(): boolean {
    const trailers = (this.#trailers ??= new Fields());
    const stop = Math.min(this.#stop, this.#at + MAX_TRAILER_BYTES);
    const outcome = this.#complete(trailers.next, stop) ? trailers.scan(this.#buffer, stop) : SCAN.MORE;
    if (outcome === SCAN.MORE) return this.#more(this.#at, stop, MAX_TRAILER_BYTES, REFUSALS.trailersTooLarge);
    if (outcome === SCAN.REFUSED) return this.#refuse(trailers.refusal);
    this.#at = trailers.next;
    this.#finish(trailers.count > 0 ? trailers : null);
    return true;
  }

  /** False when the line that starts at `line` was looked at and still has no end: looking again would be quadratic. */
  #complete(line: number, stop: number): boolean {
    return this.#looked <= line || lineEnds(this.#buffer, this.#looked, stop);
  }

  #more(start: number, stop: number, limit: number, tooLarge: Refusal): false {
    this.#looked = stop;
    if (stop - start >= limit) this.#refuse(tooLarge);
    return false;
  }

  #tell(count: number): true {
    const from = this.#at;
    this.#at += count;
    const whole = from === 0 && count === this.#buffer.length;
    this.#handler.onBody(whole ? this.#buffer : this.#buffer.subarray(from, from + count));
    return true;
  }

  #finish(trailers: Fields | null): void {
    this.#stage = STAGE.ENDED;
    this.#handler.onEnd(trailers);
  }

  #refuse(refusal: Refusal | null): false {
    if (this.#stage === STAGE.REFUSED) return false;
    this.#stage = STAGE.REFUSED;
    this.#at = this.#stop;
    this.#held = null;
    this.#buffer = NOTHING;
    this.#handler.onRefused(refusal ?? REFUSALS.startLine);
    return false;
  }
}
