import { type Field, field, fieldLine } from '../wire/index.ts';

/** A field that the proxy itself adds, in the forms of both versions. One that stays the same is to be made once and kept. */
export class OwnField {
  readonly name: string;
  readonly value: string;
  #line: string | null = null;
  #field: Field | null = null;

  /** @param name in lower case */
  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
  }

  /** A whole line of HTTP/1.1. @throws TypeError for a name or value that would not be one field */
  get line(): string {
    return (this.#line ??= fieldLine(this.name, this.value));
  }

  /** The field of HTTP/2. @throws TypeError as {@link line} */
  get field(): Field {
    return (this.#field ??= field(this.name, this.value));
  }
}
