import { z } from 'zod';
import { type KubeClient, KubeError } from '../client.ts';
import { duly, readAuthorities, type WebhookAuthority, type WebhookCaPolicy, writeAuthorities } from './webhook-ca.ts';

const KEY = 'authorities.json';
const secret = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }), data: z.record(z.string(), z.string()).optional() });

/** The Secret in our namespace with the webhook's CA, which the replicas share. */
export class CaSecret {
  readonly #client: KubeClient;
  readonly #path: string;
  readonly #name: string;
  readonly #policy: WebhookCaPolicy;

  constructor(client: KubeClient, namespace: string, name: string, policy: WebhookCaPolicy) {
    this.#client = client;
    this.#path = `/api/v1/namespaces/${namespace}/secrets`;
    this.#name = name;
    this.#policy = policy;
  }

  /**
   * The authorities that are valid now. What is due is done first: by whichever replica comes first, because each write says
   * which version it read. What is not ours to read is replaced: nothing else depends on it.
   *
   * @throws KubeError, with 409 when another replica was faster; the next call reads what it wrote
   */
  async read(now: number): Promise<readonly WebhookAuthority[]> {
    const found = await this.#find();
    const present = authoritiesOf(found?.data?.[KEY]);
    const wanted = await duly(present, now, this.#policy);
    if (wanted === present) return present;
    const data = { ...found?.data, [KEY]: Buffer.from(writeAuthorities(wanted)).toString('base64') };
    if (found) await this.#client.request({ method: 'PUT', path: `${this.#path}/${this.#name}`, body: { ...found, data } });
    else await this.#client.request({ method: 'POST', path: this.#path, body: { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: { name: this.#name }, data } });
    return wanted;
  }

  async #find() {
    try {
      return secret.parse(await this.#client.request({ method: 'GET', path: `${this.#path}/${this.#name}` }));
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }
}

function authoritiesOf(base64: string | undefined): readonly WebhookAuthority[] {
  try {
    return readAuthorities(Buffer.from(base64 ?? '', 'base64').toString('utf8'));
  } catch {
    return [];
  }
}
