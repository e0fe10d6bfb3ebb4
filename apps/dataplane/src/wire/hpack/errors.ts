/** RFC 7541 §2.2: a header block that cannot be decoded ends the connection, since the tables would differ from then on. */
export class CompressionError extends Error {
  override readonly name = 'CompressionError';
}
