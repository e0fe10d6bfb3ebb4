import { setTimeout as delay } from 'node:timers/promises';
import type { CaCertificate, CaView, CertificatesView } from '@sallyport/shared/api';
import type { TestOperator } from '../../apps/operator/src/testing/operator.ts';
import { until } from '../../apps/operator/src/testing/until.ts';

const LOOK_MS = 1_000;
/** Proxies acknowledge within seconds; an old root leaves the bundle when the last SVID below it has ended, and a margin later. */
const ROTATION_MS = 6 * 60_000;

/** Looks at the CA through the API all the time, and rotates its root. */
export class CaWatch {
  /** Ids of roots and subjects of issuers, in the order in which they were active. */
  readonly roots = new Set<string>();
  readonly issuers = new Set<string>();
  /** SPIFFE IDs whose newest SVID was seen expired, with the time. */
  readonly expired: string[] = [];
  svids = 0;
  rotations = 0;
  record: CaView['record'] = 'intact';
  readonly #operator: TestOperator;

  constructor(operator: TestOperator) {
    this.#operator = operator;
  }

  /** @returns the CA as it is now */
  async look(): Promise<CaView> {
    const view = await this.#ask<CaView>('GET', '/ca');
    const root = active(view, 'root');
    const issuer = active(view, 'issuer');
    if (root) this.roots.add(root.id);
    if (issuer) this.issuers.add(issuer.subject);
    this.svids = Object.values(view.issuance.issued).reduce((sum, count) => sum + count, 0);
    this.record = view.record;
    const { items } = await this.#ask<CertificatesView>('GET', '/certificates');
    for (const item of items.filter(({ state }) => state === 'expired')) this.expired.push(`${new Date().toISOString()} ${item.spiffeId}`);
    return view;
  }

  /** Looks once a second until `end`. */
  async until(end: number): Promise<void> {
    while (Date.now() < end) {
      await this.look();
      await delay(LOOK_MS);
    }
  }

  /** Publishes another root, and is done when that signs and the one before has left the bundle. @throws Error when it does not come to that */
  async rotateRoot(tell: (text: string) => void): Promise<void> {
    const before = active(await this.look(), 'root');
    await this.#ask('POST', '/ca/rotate-root');
    tell('another root is published');
    await this.#follow('no proxy lags and the root is active', (view) => active(view, 'root')?.id !== before?.id);
    tell('it is active');
    await this.#follow('the old root has left the bundle', (view) => !view.certificates.some(({ id, inBundle }) => id === before?.id && inBundle));
    tell('the one before has left the bundle');
    this.rotations += 1;
  }

  /** A database that is late for a moment is no matter of identities. @throws Error with the API's own words when it refuses */
  async #ask<T>(method: string, path: string): Promise<T> {
    const { status, body } = await until(() => this.#operator.call(method, path), (answer) => answer.status !== 503);
    if (status !== 200) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async #follow(what: string, good: (view: CaView) => boolean): Promise<void> {
    const end = Date.now() + ROTATION_MS;
    while (!good(await this.look())) {
      if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
      await delay(LOOK_MS);
    }
  }
}

function active(view: CaView, role: CaCertificate['role']): CaCertificate | undefined {
  return view.certificates.find((entry) => entry.role === role && entry.state === 'active');
}
