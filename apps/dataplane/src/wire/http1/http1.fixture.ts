import { RequestReader, ResponseReader } from './readers.ts';
import type { Refusal } from './refusals.ts';

/** Everything that a reader told, with adjoining body pieces joined. */
export type Told =
  | { readonly head: string; readonly headers: readonly (readonly [string, string])[] }
  | { readonly body: string }
  | { readonly trailers: readonly (readonly [string, string])[] }
  | { readonly refused: Refusal };

/** Collects what a reader tells. */
export class Recorder {
  readonly told: Told[] = [];
  bodyBytes = 0;

  head(head: string, headers: readonly (readonly [string, string])[]): void {
    this.told.push({ head, headers });
  }

  body(data: Buffer): void {
    this.bodyBytes += data.length;
    const last = this.told.at(-1);
    const text = data.toString('latin1');
    if (last && 'body' in last) this.told[this.told.length - 1] = { body: last.body + text };
    else this.told.push({ body: text });
  }

  get refusal(): Refusal | null {
    const last = this.told.at(-1);
    return last && 'refused' in last ? last.refused : null;
  }
}

/** Splits bytes at the given places, each a share of the whole from 0 to 1. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => Buffer.from(bytes.subarray(at[i], end)));
}

/** Every byte by itself. */
export function single(text: string): Buffer[] {
  return Array.from(text, (character) => Buffer.from(character, 'latin1'));
}

/** Reads requests one after the other until the bytes end. */
export function readRequests(chunks: readonly Buffer[], eof = true): Recorder {
  const recorder = new Recorder();
  const reader: RequestReader = new RequestReader({
    onHead: (head) => recorder.head(`${head.method} ${head.target} ${head.host} ${head.minor}`, head.headers()),
    onBody: (data) => recorder.body(data),
    onEnd: (trailers) => {
      recorder.told.push({ trailers: trailers?.list() ?? [] });
      reader.next();
    },
    onRefused: (refused) => recorder.told.push({ refused }),
  });
  for (const chunk of chunks) reader.receive(chunk);
  if (eof) reader.end();
  return recorder;
}

/** Reads a response to each method in turn. */
export function readResponses(methods: readonly string[], chunks: readonly Buffer[], eof = true): Recorder {
  const recorder = new Recorder();
  const open = [...methods];
  const expectNext = (): void => {
    const method = open.shift();
    if (method !== undefined) reader.expect(method);
  };
  const reader: ResponseReader = new ResponseReader({
    onHead: (head) => recorder.head(`${head.status} ${head.reason}`, head.headers()),
    onBody: (data) => recorder.body(data),
    onEnd: (trailers) => {
      recorder.told.push({ trailers: trailers?.list() ?? [] });
      expectNext();
    },
    onRefused: (refused) => recorder.told.push({ refused }),
  });
  expectNext();
  for (const chunk of chunks) reader.receive(chunk);
  if (eof) reader.end();
  return recorder;
}
