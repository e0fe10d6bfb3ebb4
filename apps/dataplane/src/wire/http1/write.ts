/** RFC 9112 §7.1: the line before a chunk of this many bytes. */
export function chunkStart(size: number): Buffer {
  return Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
}

export const CHUNK_END = Buffer.from('\r\n');
/** The last chunk without trailers. */
export const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** The last chunk with trailer lines (with the empty one after them). */
export function lastChunk(trailers: string): Buffer {
  return Buffer.from(`0\r\n${trailers}`, 'latin1');
}
