import { compileWorkloadPolicy, Facts, type PolicyRequest, type PolicyTarget } from '../../policy/index.ts';
import type { AuthorizationPolicy } from '../../resources/index.ts';
import type { PolicySet } from '../model.ts';
import { divide, type Field, usualRequest } from './fields.ts';
import { ALWAYS, Lists } from './lists.ts';
import { type Asks, type Node, Search, type Side, type Sides } from './search.ts';
import type { Subject, SubjectPort } from './subject.ts';
import { type Alternatives, Terms } from './terms.ts';

/** Attributes in the order in which they are decided; those that tell the most rules apart come first. */
const ORDER = ['identity', 'path', 'method', 'host', 'token', 'source.ip', 'remote.ip', 'sni'];

/** Remainders that one search may look at. */
const BUDGET = 300_000;

/** Where the verdict of a subject's port changes. */
export interface PortDifference {
  readonly ports: readonly SubjectPort[];
  readonly base: PolicyRequest;
  readonly fields: readonly Field[];
  readonly node: Node;
}

export interface Comparison {
  readonly differences: readonly PortDifference[];
  /** False when something was left out; then no difference is no proof. */
  readonly complete: boolean;
}

/** Compares both policy sets for the workloads of one subject, protocol by protocol and port by port. */
export function compareSubject(subject: Subject, before: PolicySet, after: PolicySet, known: readonly string[]): Comparison {
  const parts = (['http', 'tcp'] as const).map((protocol) => compareProtocol(subject, protocol, before, after, known));
  return { differences: parts.flatMap((part) => part.differences), complete: parts.every((part) => part.complete) };
}

function compareProtocol(subject: Subject, protocol: 'http' | 'tcp', before: PolicySet, after: PolicySet, known: readonly string[]): Comparison {
  const ports = subject.ports.filter((port) => port.protocol === protocol);
  const [first] = ports;
  if (first === undefined) return { differences: [], complete: true };
  const terms = new Terms();
  const read = { before: readSide(subject.before, before, subject.target, protocol, terms), after: readSide(subject.after, after, subject.target, protocol, terms) };
  const base = usualRequest(subject.workload, protocol, first.port, after.mesh);
  const names = [...ORDER, ...new Set(terms.all.map((term) => term.field).filter((field) => field.startsWith('header:')))];
  const fields = names.filter((name) => name === 'identity' || terms.all.some((term) => term.field === name))
    .map((name) => divide(name, terms.all.filter((term) => term.field === name), { base, meshes: [before.mesh, after.mesh], known }));
  const lists = new Lists(terms.all);
  const sides: Sides = { before: toSide(read.before, lists), after: toSide(read.after, lists) };
  const asks: Asks = { before: `ASK ${read.before.provider}`, after: `ASK ${read.after.provider}` };
  const search = new Search(lists, fields, asks, BUDGET);
  const found = new Map<Node, SubjectPort[]>();
  for (const port of ports) {
    const node = search.run(atPort(sides, port.port, base, lists, terms), port.modes);
    if (node !== null) found.set(node, [...(found.get(node) ?? []), port]);
  }
  return {
    differences: [...found].map(([node, same]) => ({ ports: same, base, fields, node })),
    complete: !search.exhausted && fields.every((field) => field.complete),
  };
}

/** What is known of the destination before any request comes: its port and address. */
function atPort(sides: Sides, port: number, base: PolicyRequest, lists: Lists, terms: Terms): Sides {
  const facts = new Facts();
  facts.load({ ...base, destination: { ...base.destination, port } });
  const reduce = (side: Side | 'denied'): Side | 'denied' => {
    if (side === 'denied') return side;
    const by = (list: number, field: string) => lists.reduce(list, field, terms.all.filter((term) => term.field === field && term.test(facts)).map((term) => term.id));
    const both = (list: number) => by(by(list, 'port'), 'destination.ip');
    return { deny: both(side.deny), custom: both(side.custom), allow: both(side.allow) };
  };
  return { before: reduce(sides.before), after: reduce(sides.after) };
}

interface ReadSide {
  readonly deny: readonly Alternatives[][];
  readonly custom: readonly Alternatives[][];
  /** Null when no enforced ALLOW policy selects the workload. */
  readonly allow: readonly Alternatives[][] | null;
  readonly provider: string;
  readonly refused: boolean;
}

/** The rules of one side. What CUSTOM comes to, and whether an ALLOW policy restricts, is read off the evaluator's own compilation. */
function readSide(policies: readonly AuthorizationPolicy[], set: PolicySet, workload: PolicyTarget, protocol: 'http' | 'tcp', terms: Terms): ReadSide {
  const compiled = compileWorkloadPolicy({ ...set, authorizationPolicies: policies, workload });
  const asked = compiled[protocol].custom.decisions;
  const rules = (action: AuthorizationPolicy['spec']['action']) => policies.filter(({ spec }) => spec.enforcement === 'Enforce' && spec.action === action)
    .flatMap((policy) => (policy.spec.rules ?? []).flatMap((rule, index) => {
      const read = terms.read(rule, index, policy, set.mesh, protocol);
      return read === null ? [] : [read];
    }));
  const custom = asked.length === 0 ? [] : rules('CUSTOM');
  // With compatibility: istio what matches a CUSTOM policy that cannot be asked is denied, and nothing else.
  const denied = asked.some(({ effect }) => effect === 'DENY');
  return {
    deny: denied ? [...rules('DENY'), ...custom] : rules('DENY'),
    custom: denied ? [] : custom,
    allow: compiled.otherwise.effect === 'DENY' ? rules('ALLOW') : null,
    provider: asked[0]?.provider ?? '',
    refused: compiled.refusal !== null,
  };
}

function toSide({ deny, custom, allow, refused }: ReadSide, lists: Lists): Side | 'denied' {
  return refused ? 'denied' : { deny: lists.add(deny), custom: lists.add(custom), allow: allow === null ? ALWAYS : lists.add(allow) };
}
