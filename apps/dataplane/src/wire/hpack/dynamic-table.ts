import type { Field } from './field.ts';

/** RFC 7541 §2.3.2: fields in the order they came, the newest first, the oldest evicted to keep the size. */
export class DynamicTable {
  #ring: (Field | undefined)[];
  /** Slot of the next field. */
  #head = 0;
  #count = 0;
  #size = 0;
  #max: number;
  readonly #onEvict: (field: Field) => void;

  constructor(max: number, onEvict: (field: Field) => void = () => undefined) {
    this.#max = max;
    this.#ring = ring(max);
    this.#onEvict = onEvict;
  }

  get max(): number {
    return this.#max;
  }

  get count(): number {
    return this.#count;
  }

  /** The field at an index from 1, or undefined. */
  get(index: number): Field | undefined {
    if (index < 1 || index > this.#count) return undefined;
    return this.#ring[(this.#head - index + this.#ring.length) % this.#ring.length];
  }

  /** RFC 7541 §4.4: "an attempt to add an entry larger than the maximum size causes the table to be emptied of all existing entries". False then. */
  add(field: Field): boolean {
    this.#shrink(this.#max - field.size);
    if (field.size > this.#max) return false;
    this.#ring[this.#head] = field;
    this.#head = (this.#head + 1) % this.#ring.length;
    this.#count += 1;
    this.#size += field.size;
    return true;
  }

  resize(max: number): void {
    this.#shrink(max);
    const kept = Array.from({ length: this.#count }, (_, i) => this.get(this.#count - i));
    this.#max = max;
    this.#ring = ring(max);
    for (const [i, field] of kept.entries()) this.#ring[i] = field;
    this.#head = this.#count % this.#ring.length;
  }

  #shrink(size: number): void {
    while (this.#count > 0 && this.#size > size) {
      const slot = (this.#head - this.#count + this.#ring.length) % this.#ring.length;
      const oldest = this.#ring[slot]!;
      this.#ring[slot] = undefined;
      this.#count -= 1;
      this.#size -= oldest.size;
      this.#onEvict(oldest);
    }
  }
}

/** Each field has 32 bytes of overhead, so no more than this fit. */
function ring(max: number): (Field | undefined)[] {
  return Array.from({ length: Math.floor(max / 32) + 1 }, () => undefined);
}
