import {
  activated, activeEntry, type CaDocument, type CaEntry, nextStep, type Parent, published, removed, type RotationFacts, type RotationPolicy,
  type RotationStep, seenByPeersAt, successorRoot, waitingIssuer, withPrepared,
} from '@sallyport/shared/pki';
import { makeIssuer, makeRoot, takeIn } from './ceremony.ts';
import type { CaStore } from './ca-store.ts';
import { type ParentCa, ParentError } from './parents/parent.ts';

/** A step of the rotation that cannot be taken now; the message says why. */
export class RotationRefused extends Error {
  override readonly name = 'RotationRefused';
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** What bears on rotation from outside: the Mesh resource and what proxies acknowledged. */
export interface RotationSources {
  readonly store: CaStore;
  readonly now: () => number;
  readonly policy: () => RotationPolicy;
  readonly constrained: () => boolean;
  /** The parent that is wanted; null when we are our own. */
  readonly parent: () => ParentCa | null;
  /** The kind that is wanted; 'spire' and other kinds without an adapter hold the present one. */
  readonly wanted: () => Parent;
  /** Names of live proxies that have not acknowledged this bundle sequence. */
  readonly lagging: (sequence: number) => Promise<readonly string[]>;
  /** Whether other trust domains fetch our bundle. */
  readonly federated: () => boolean;
}

/** A step that was taken, for the log. */
export interface TakenStep {
  readonly step: string;
  readonly role: CaEntry['role'];
  readonly subject: string;
}

const MOST_STEPS = 20;

/** Takes the steps of the rotation that are due, one at a time, and those that somebody asks for. */
export class Rotation {
  readonly #sources: RotationSources;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(sources: RotationSources) {
    this.#sources = sources;
  }

  /** Takes all steps that are due; a parent that gives nothing usable ends them, and what was done is done. */
  tick(onRefusal: (error: ParentError | RotationRefused) => void): Promise<TakenStep[]> {
    return this.#alone(async () => {
      const taken: TakenStep[] = [];
      try {
        for (let step = await this.#next(); step && taken.length < MOST_STEPS; step = await this.#next()) taken.push(...(await this.#take(step)));
      } catch (error) {
        if (!(error instanceof ParentError || error instanceof RotationRefused)) throw error;
        onRefusal(error);
      }
      return taken;
    });
  }

  /** Prepares and publishes a successor of the root before its time. @throws RotationRefused when one is on its way */
  rotateRoot(): Promise<TakenStep[]> {
    return this.#alone(async () => {
      const present = successorRoot(this.#document);
      if (present) throw new RotationRefused(`root ${present.subject} is ${present.state} already`, 'activate it, or wait until every proxy has acknowledged it');
      const offered = this.#sources.parent()?.offered() ?? null;
      if (offered !== null && offered === activeEntry(this.#document, 'root')?.upstream) {
        throw new RotationRefused('the root comes from files that have not changed', 'put another certificate and key in their place');
      }
      return this.#publishSuccessor();
    });
  }

  /** Prepares another issuer and lets it sign at once; proxies need no other root for it. */
  rotateIssuer(): Promise<TakenStep[]> {
    return this.#alone(async () => {
      const root = activeEntry(this.#document, 'root');
      if (root?.parent !== 'selfSigned') throw new RotationRefused('the issuer is the parent’s own intermediate', 'rotate the root instead: that asks the parent for another');
      const steps = waitingIssuer(this.#document, root) ? [] : await this.#take({ kind: 'prepare-issuer', root });
      const entry = waitingIssuer(this.#document, root);
      return entry ? [...steps, ...(await this.#take({ kind: 'activate', entry }))] : steps;
    });
  }

  /**
   * Activates the published root.
   *
   * @returns the steps, and the proxies that had not acknowledged it: they cannot verify the others from now on
   * @throws RotationRefused naming the proxies that lag, unless forced
   */
  activate(force: boolean): Promise<{ steps: TakenStep[]; breaking: readonly string[] }> {
    return this.#alone(async () => {
      const root = successorRoot(this.#document);
      if (!root) throw new RotationRefused('no root waits for activation', 'rotate the root first');
      const breaking = await this.#lagging(root);
      if (breaking.length > 0 && !force) {
        throw new RotationRefused(`root ${root.subject} is not acknowledged by ${breaking.join(', ')}`, 'bring them back or wait; once it is activated by force, they cannot verify the others until they reconnect by hand');
      }
      const { now, policy, federated } = this.#sources;
      const seen = seenByPeersAt(root, policy(), federated());
      if (now() < seen && !force) {
        throw new RotationRefused(`other trust domains may not have fetched root ${root.subject} yet`, `wait until ${new Date(seen).toISOString()}; once it is activated by force, their calls fail until they have`);
      }
      if (!waitingIssuer(this.#document, root)) await this.#take({ kind: 'prepare-issuer', root });
      const entry = this.#document.entries.find((item) => item.id === root.id) ?? root;
      return { steps: await this.#take({ kind: 'activate', entry }), breaking };
    });
  }

  get #document(): CaDocument {
    return this.#sources.store.document;
  }

  async #publishSuccessor(): Promise<TakenStep[]> {
    const steps = await this.#take({ kind: 'prepare-root' });
    const root = successorRoot(this.#document);
    if (root && !waitingIssuer(this.#document, root)) steps.push(...(await this.#take({ kind: 'prepare-issuer', root })));
    if (root?.state === 'prepared') steps.push(...(await this.#take({ kind: 'publish', entry: root })));
    return steps;
  }

  async #next(): Promise<RotationStep | null> {
    const { now, policy, parent, wanted, federated } = this.#sources;
    const successor = successorRoot(this.#document);
    const lagging = successor?.state === 'published' ? await this.#lagging(successor) : [];
    const held = activeEntry(this.#document, 'root')?.parent ?? 'selfSigned';
    const adapter = parent();
    const kind = adapter || wanted() === 'selfSigned' ? wanted() : held;
    const facts: RotationFacts = { now: now(), parent: kind, offered: adapter?.offered() ?? null, lagging, federated: federated() };
    return nextStep(this.#document, policy(), facts);
  }

  async #lagging(root: CaEntry): Promise<readonly string[]> {
    // What was never published nobody can have acknowledged: ask for a number that no bundle has yet.
    return this.#sources.lagging(root.sequence ?? this.#document.sequence + 1);
  }

  async #take(step: RotationStep): Promise<TakenStep[]> {
    const { store, now } = this.#sources;
    if (step.kind === 'prepare-root') return this.#keep(await this.#newRoot());
    if (step.kind === 'prepare-issuer') return this.#keep([await makeIssuer(store, step.root, this.#terms(this.#sources.policy().issuer))]);
    const change = { publish: published, activate: activated, remove: removed }[step.kind];
    store.update((document) => change(document, step.entry.id, now()));
    return [{ step: step.kind, role: step.entry.role, subject: step.entry.subject }];
  }

  async #newRoot(): Promise<CaEntry[]> {
    const { store, now, policy, parent } = this.#sources;
    const adapter = parent();
    if (!adapter && this.#sources.wanted() !== 'selfSigned' && activeEntry(this.#document, 'root')) {
      throw new RotationRefused(`this operator has no way to a parent of kind ${this.#sources.wanted()}`, 'choose another parent in Mesh.spec.ca');
    }
    if (!adapter) return [await makeRoot(store, this.#terms(policy().root))];
    const given = await adapter.obtain(now(), policy().issuer);
    return takeIn(store, given, this.#terms(policy().issuer));
  }

  #keep(entries: CaEntry[]): TakenStep[] {
    this.#sources.store.update((document) => withPrepared(document, entries, this.#sources.now()));
    return entries.map(({ role, subject }) => ({ step: 'prepare', role, subject }));
  }

  #terms(lifetime: number) {
    return { trustDomain: this.#document.trustDomain, now: this.#sources.now(), lifetime, constrained: this.#sources.constrained() };
  }

  /** One change at a time: two at once could prepare two successors. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work);
    this.#queue = run.catch(() => undefined);
    return run;
  }
}
