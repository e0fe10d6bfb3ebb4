import type { Lab } from './lab.ts';

/** What a caller speaks. */
export type Protocol = 'h1' | 'h2' | 'grpc' | 'tcp';

/** Ports at which a deployment takes calls; null where it does not serve that. */
export interface Doors {
  /** The caller's proxy: plaintext. */
  readonly plain: Readonly<Record<Protocol, number | null>>;
  /** The service's proxy: mTLS. */
  readonly mtls: Readonly<Record<Protocol, number | null>>;
}

/** A pair of proxies that run. */
export interface Deployment {
  readonly doors: Doors;
  readonly client: readonly number[];
  readonly server: readonly number[];
}

/** A kind of proxy under measurement. */
export interface Target {
  readonly name: string;
  /** Why it cannot be measured here, with the remedy; null when it can. */
  readonly missing: string | null;
  /**
   * Starts a pair that enforces `rules` rules, the last of which admits WEB to the paths of the bench; 0 admits every
   * identity everywhere. @throws Error with the last words of a process that does not start
   */
  deploy(lab: Lab, rules: number): Promise<Deployment>;
}

/** One rule: an identity, by the name of its service account, may call under a path prefix that ends with a slash. */
export interface Rule {
  readonly account: string;
  readonly prefix: string;
}

/** Rules as each target gets them: those that matter come last, behind others of the same form. */
export function rulesOf(count: number): Rule[] {
  if (count === 0) return [];
  const others = Array.from({ length: Math.max(0, count - 2) }, (_, index) => ({ account: `peer-${index}`, prefix: `/svc-${index}/` }));
  return [...others, { account: 'web', prefix: '/items/' }, { account: 'web', prefix: '/bench.Echo/' }];
}
