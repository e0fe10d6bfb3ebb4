import { canonicalJson } from '@sallyport/shared/mesh';
import type { ExtensionProvider, MeshSpec } from '@sallyport/shared/resources';
import type { Answer, Authorizer, Question } from './answer.ts';
import { HttpAuthorizer } from './http.ts';

interface Entry {
  readonly settings: string;
  readonly authorizer: Authorizer;
}

/** The extension providers of the Mesh that is in force. One that did not change keeps its connections. */
export class Authorizers {
  #entries: ReadonlyMap<string, Entry> = new Map();

  /** Takes up the providers of a new configuration. */
  update({ extensionProviders = [] }: Pick<MeshSpec, 'extensionProviders'>): void {
    const before = this.#entries;
    this.#entries = new Map(extensionProviders.map((provider): [string, Entry] => {
      const settings = canonicalJson(provider);
      const known = before.get(provider.name);
      return [provider.name, known?.settings === settings ? known : { settings, authorizer: create(provider) }];
    }));
    const kept = new Set([...this.#entries.values()].map(({ authorizer }) => authorizer));
    for (const { authorizer } of before.values()) if (!kept.has(authorizer)) authorizer.close();
  }

  /** The provider of a name; null when there is none, and then nobody is allowed. */
  get(name: string): Authorizer | null {
    return this.#entries.get(name)?.authorizer ?? null;
  }

  close(): void {
    for (const { authorizer } of this.#entries.values()) authorizer.close();
  }
}

function create({ envoyExtAuthzHttp, envoyExtAuthzGrpc }: ExtensionProvider): Authorizer {
  if (envoyExtAuthzHttp) return new HttpAuthorizer(envoyExtAuthzHttp);
  if (envoyExtAuthzGrpc) return new LazyAuthorizer(async () => new (await import('./grpc.ts')).GrpcAuthorizer(envoyExtAuthzGrpc), envoyExtAuthzGrpc.statusOnError);
  throw new Error('an extension provider passed its schema without a protocol');
}

/** Loads what asks by gRPC with the first question: most proxies never need it, and it is larger than all the rest. */
class LazyAuthorizer implements Authorizer {
  readonly #load: () => Promise<Authorizer>;
  readonly #statusOnError: number;
  #loaded: Promise<Authorizer> | null = null;

  constructor(load: () => Promise<Authorizer>, statusOnError: number) {
    this.#load = load;
    this.#statusOnError = statusOnError;
  }

  async ask(question: Question): Promise<Answer> {
    try {
      this.#loaded ??= this.#load();
      return await (await this.#loaded).ask(question);
    } catch (error) {
      return { kind: 'unavailable', status: this.#statusOnError, why: (error as Error).message };
    }
  }

  close(): void {
    this.#loaded?.then((authorizer) => authorizer.close()).catch(() => undefined);
  }
}
