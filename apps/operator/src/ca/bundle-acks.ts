import { acknowledgeBundle } from '../history/proxies.ts';
import type { PushHub } from '../push/hub.ts';
import type { Database } from '../store/postgres/client.ts';

/** Writes down which proxies acknowledged the present bundle, so that a restart of the operator forgets none of it. */
export class BundleAcks {
  readonly #hub: PushHub;
  readonly #database: Database;
  #news = true;

  constructor(hub: PushHub, database: Database) {
    this.#hub = hub;
    this.#database = database;
    hub.onChange(() => {
      this.#news = true;
    });
  }

  async keep(): Promise<void> {
    if (!this.#news) return;
    this.#news = false;
    const { sequence, proxies } = this.#hub.bundleHolders();
    if (proxies.length === 0) return;
    try {
      await acknowledgeBundle(this.#database, proxies, sequence);
    } catch (error) {
      this.#news = true;
      throw error;
    }
  }
}
