import { compileRule, type Predicate, type RuleContext } from '../../policy/index.ts';
import type { AuthorizationPolicy, AuthorizationRule, MeshSpec } from '../../resources/index.ts';
import { type Clause, ruleParts } from '../clause.ts';

/** A clause that occurs in some rule; equal clauses of many rules are one term. */
export interface Term {
  readonly id: number;
  /** The attribute of a request that it depends on, such as `path` or `header:x-role`. */
  readonly field: string;
  readonly subject: string;
  readonly values: readonly string[];
  readonly namespace: string;
  readonly mesh: MeshSpec;
  /** The evaluator's own test of a rule that holds this clause alone. */
  readonly test: Predicate;
  /** True when only an HTTP request has the field. */
  readonly http: boolean;
}

/** Alternatives (OR) of terms that must all hold (AND). */
export type Alternatives = readonly (readonly number[])[];

const IDENTITY = /^(principals|namespaces|serviceAccounts|trustDomains|source\.(principal|namespace|serviceAccount|trustDomain))$/;
const FIELDS: Readonly<Record<string, string>> = {
  ipBlocks: 'source.ip', 'source.ip': 'source.ip', remoteIpBlocks: 'remote.ip', 'remote.ip': 'remote.ip', hosts: 'host', methods: 'method', paths: 'path',
  ports: 'port', 'destination.port': 'port', 'destination.ip': 'destination.ip', 'connection.sni': 'sni', requestPrincipals: 'token',
};

const PSEUDO: Readonly<Record<string, string>> = { ':method': 'method', ':authority': 'host' };

function fieldOf(subject: string): string {
  if (IDENTITY.test(subject)) return 'identity';
  const header = /^request\.headers\[(.+)\]$/.exec(subject)?.[1];
  // Istio's pseudo-headers are read from the request line.
  if (header !== undefined) return PSEUDO[header.toLowerCase()] ?? `header:${header.toLowerCase()}`;
  const field = FIELDS[subject] ?? (subject.startsWith('request.auth.') ? 'token' : undefined);
  if (field === undefined) throw new Error(`no field of a request is known for ${subject}`);
  return field;
}

/** All terms of a comparison, each compiled once. */
export class Terms {
  readonly all: Term[] = [];
  readonly #byKey = new Map<string, Term>();
  readonly #meshes: MeshSpec[] = [];

  /** The rule as alternatives that must all be met, or null when it never matches for this protocol. */
  read(rule: AuthorizationRule, index: number, policy: AuthorizationPolicy, mesh: MeshSpec, protocol: RuleContext['protocol']): Alternatives[] | null {
    const context: RuleContext = { mesh, namespace: policy.metadata.namespace ?? '', action: policy.spec.action, protocol };
    if (compileRule(rule, context) === null) return null;
    const { from, to, when } = ruleParts(rule, index);
    const ids = (clauses: readonly Clause[]) => clauses.map((clause) => this.#term(clause, context)).filter((term) => protocol === 'http' || !term.http).map((term) => term.id);
    const parts = [from?.map(ids), to?.map(ids), ...when.map((clause) => [ids([clause])])];
    return parts.filter((part) => part !== undefined);
  }

  #term(clause: Clause, context: RuleContext): Term {
    const { subject, negative, values, alone } = clause;
    const field = fieldOf(subject);
    const own = /serviceAccount/i.test(subject) ? context.namespace : '';
    const key = JSON.stringify([subject, negative, values, context.action === 'DENY' || context.action === 'CUSTOM', own, this.#meshId(context.mesh as MeshSpec)]);
    const known = this.#byKey.get(key);
    if (known) return known;
    const test = compileRule(alone, { ...context, protocol: 'http' });
    if (test === null) throw new Error(`a clause of ${subject} has no test`);
    const http = compileRule(alone, { ...context, action: 'ALLOW', protocol: 'tcp' }) === null;
    const term: Term = { id: this.all.length, field, subject, values, namespace: context.namespace, mesh: context.mesh as MeshSpec, test, http };
    this.all.push(term);
    this.#byKey.set(key, term);
    return term;
  }

  /** Meshes that read every clause the same way are one. */
  #meshId(mesh: MeshSpec): number {
    const form = ({ trustDomain, trustDomainAliases, compatibility }: MeshSpec) => JSON.stringify([trustDomain, trustDomainAliases ?? [], compatibility]);
    const known = this.#meshes.findIndex((each) => form(each) === form(mesh));
    return known >= 0 ? known : this.#meshes.push(mesh) - 1;
  }
}
