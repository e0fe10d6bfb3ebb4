import type { Readable } from 'node:stream';

const MAX_LINE_BYTES = 32 * 1024 * 1024;

/**
 * Splits a byte stream into lines without their end. The rest after the last line end is dropped: it is incomplete.
 *
 * @param onChunk called for every piece that arrives: a sign of life
 * @throws Error when a line is longer than 32 MiB
 */
export async function* readLines(stream: Readable, onChunk: () => void): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    onChunk();
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts).toString('utf8');
      parts = [];
      size = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    parts.push(rest);
    size += rest.length;
    if (size > MAX_LINE_BYTES) throw new Error(`a line of the configuration stream is longer than ${MAX_LINE_BYTES} bytes`);
  }
}
