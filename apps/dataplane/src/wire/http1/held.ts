/** Bytes that wait for more: copied once each, whatever the size of the pieces. */
export class Held {
  buffer: Buffer;
  length: number;

  constructor(first: Buffer, from: number, stop: number) {
    this.length = stop - from;
    this.buffer = Buffer.allocUnsafe(Math.max(512, this.length * 2));
    first.copy(this.buffer, 0, from, stop);
  }

  append(chunk: Buffer): void {
    const needed = this.length + chunk.length;
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafe(needed * 2);
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    chunk.copy(this.buffer, this.length);
    this.length = needed;
  }
}
