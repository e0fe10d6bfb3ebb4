import type { z } from 'zod';
import type { Index } from '../cache.ts';
import type { KubeClient } from '../client.ts';
import type { KubeObject } from '../list-watch.ts';
import { Reflector } from '../reflector.ts';

interface FollowedOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly path: string;
  /** What is kept of an object: what is not named is dropped, which saves most of the memory of a pod. */
  readonly schema: z.ZodType<T>;
  readonly indexes?: Readonly<Record<string, Index>>;
  readonly onChange: (key: string) => void;
  readonly trouble: (error: unknown) => void;
}

/** A collection of the cluster as we read it. Objects of a shape that is not known are left out, and somebody is told. */
export class Followed<T extends KubeObject> {
  readonly #reflector: Reflector;
  readonly #known = new WeakSet<KubeObject>();

  constructor({ schema, ...options }: FollowedOptions<T>) {
    const { trouble } = options;
    this.#reflector = new Reflector(options.client, {
      ...options,
      trim: (object) => {
        const { success, data, error } = schema.safeParse(object);
        if (success) this.#known.add(data);
        else trouble(new Error(`${options.path} ${object.metadata.namespace ?? ''}/${object.metadata.name} is not understood: ${error.issues[0]?.path.join('.') ?? ''}: ${error.issues[0]?.message ?? ''}`));
        return success ? data : { metadata: object.metadata };
      },
    });
  }

  get synced(): Promise<void> {
    return this.#reflector.synced;
  }

  get hasSynced(): boolean {
    return this.#reflector.hasSynced;
  }

  get(key: string): T | null {
    const object = this.#reflector.store.get(key);
    return object !== undefined && this.#isKnown(object) ? object : null;
  }

  by(index: string, value: string): T[] {
    return this.#reflector.store.by(index, value).filter((object): object is T => this.#isKnown(object));
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }

  #isKnown(object: KubeObject): object is T {
    return this.#known.has(object);
  }
}
