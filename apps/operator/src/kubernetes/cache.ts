import type { KubeObject } from './list-watch.ts';

/** Names under which an object is found again, such as its node. */
export type Index = (object: KubeObject) => readonly string[];

/** Objects of one collection in memory, by key and by index. Readers must not change what they get. */
export interface ObjectReader {
  readonly size: number;
  get(key: string): KubeObject | undefined;
  all(): IterableIterator<KubeObject>;
  keys(): IterableIterator<string>;
  /** @throws Error for an index that was not declared */
  by(index: string, value: string): KubeObject[];
}

/** `namespace/name`, or the name of what belongs to no namespace. */
export function objectKey({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** The writable side of {@link ObjectReader}: a reflector's. */
export class ObjectCache implements ObjectReader {
  readonly #objects = new Map<string, KubeObject>();
  readonly #indexes: ReadonlyMap<string, { readonly of: Index; readonly keys: Map<string, Set<string>> }>;

  constructor(indexes: Readonly<Record<string, Index>> = {}) {
    this.#indexes = new Map(Object.entries(indexes).map(([name, of]) => [name, { of, keys: new Map<string, Set<string>>() }]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  all(): IterableIterator<KubeObject> {
    return this.#objects.values();
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  by(index: string, value: string): KubeObject[] {
    const found = this.#indexes.get(index);
    if (!found) throw new Error(`there is no index "${index}"`);
    return [...(found.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** @returns whether it is another object, or another version of it, than the one that was there */
  set(key: string, object: KubeObject): boolean {
    const before = this.#objects.get(key);
    if (before?.metadata.uid === object.metadata.uid && before.metadata.resourceVersion === object.metadata.resourceVersion) return false;
    if (before) this.#unindex(key, before);
    this.#objects.set(key, object);
    for (const { of, keys } of this.#indexes.values()) {
      for (const value of of(object)) {
        const held = keys.get(value);
        if (held) held.add(key);
        else keys.set(value, new Set([key]));
      }
    }
    return true;
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    const before = this.#objects.get(key);
    if (!before) return false;
    this.#unindex(key, before);
    return this.#objects.delete(key);
  }

  #unindex(key: string, object: KubeObject): void {
    for (const { of, keys } of this.#indexes.values()) {
      for (const value of of(object)) {
        const held = keys.get(value);
        held?.delete(key);
        if (held?.size === 0) keys.delete(value);
      }
    }
  }
}
