import type { MeshWorkload } from '../../mesh/index.ts';
import { Facts, type PolicyRequest, type RawRequest } from '../../policy/index.ts';
import type { MeshSpec } from '../../resources/index.ts';
import { addressClasses } from '../classes/addresses.ts';
import { hostClasses } from '../classes/hosts.ts';
import { identityClasses } from '../classes/identities.ts';
import { pathClasses } from '../classes/paths.ts';
import { ANY_OTHER, type Classes, NONE, type Representative, stringClasses } from '../classes/strings.ts';
import { repeatedClasses, tokenClasses } from '../classes/tokens.ts';
import type { Term } from './terms.ts';

/** Changes one attribute of a request. */
type Change = (request: PolicyRequest) => PolicyRequest;

/** A class of values of one field that no term tells apart. */
interface ValueClass {
  readonly change: Change;
  readonly labels: readonly string[];
  /** Terms that hold. */
  readonly terms: readonly number[];
}

/** One attribute of a request with all its classes. */
export interface Field {
  readonly name: string;
  readonly classes: readonly ValueClass[];
  /** By term: the classes in which it holds. */
  readonly holds: ReadonlyMap<number, readonly number[]>;
  /** The class of a request's value; -1 for one that no request in order has. */
  readonly classOf: (request: PolicyRequest) => number;
  readonly complete: boolean;
}

/** What the classes are made from besides the terms. */
export interface FieldContext {
  readonly base: PolicyRequest;
  readonly meshes: readonly MeshSpec[];
  /** SPIFFE IDs that make better examples than made-up ones. */
  readonly known: readonly string[];
}

/** The plaintext peer is always the first class of the identity. */
const PLAINTEXT = 'plaintext (no identity)';

const USUAL_FORM = /\/ns\/[^/]+\/sa\/[^/]+$/;

/** A request to a workload in which every attribute is something usual. */
export function usualRequest(workload: Pick<MeshWorkload, 'address'>, protocol: 'http' | 'tcp', port: number, mesh: MeshSpec): PolicyRequest {
  const base: PolicyRequest = {
    protocol,
    source: { principal: `spiffe://${mesh.trustDomain}/ns/other/sa/other`, ip: '10.0.0.1' },
    destination: { ip: workload.address, port },
  };
  return protocol === 'tcp' ? base : { ...base, http: { method: 'GET', host: 'service', path: '/' as NonNullable<PolicyRequest['http']>['path'], headers: {} }, token: null };
}

/** Back to the form in which a request arrives. */
export function rawRequest({ http, ...rest }: PolicyRequest): RawRequest {
  if (http === undefined) return rest;
  const { path, ...others } = http;
  return { ...rest, http: { ...others, target: path } };
}

type Choice = Representative<Change>;

/** Divides one attribute into classes by the terms that look at it, asking each term of each representative. */
export function divide(name: string, terms: readonly Term[], context: FieldContext): Field {
  const { values, complete } = choices(name, terms, context);
  const keyOf = keyReader(name, terms);
  const found = new Map<string, { change: Change; primary: string[]; secondary: string; holding: readonly number[] }>();
  for (const { value: change, label, secondary } of values) {
    const read = keyOf(change(context.base));
    if (read === null) continue;
    const known = found.get(read.key);
    if (known === undefined) found.set(read.key, { change, primary: secondary ? [] : [label], secondary: label, holding: read.holding });
    else if (!secondary && !known.primary.includes(label)) known.primary.push(label);
  }
  const classes = [...found.values()].map((each): ValueClass => ({ change: each.change, terms: each.holding, labels: each.primary.length > 0 ? each.primary : [each.secondary] }));
  const indices = new Map([...found.keys()].map((key, index) => [key, index]));
  return { name, classes, holds: postings(classes), complete, classOf: (request) => indices.get(keyOf(request)?.key ?? '') ?? -1 };
}

/** Which terms hold for a request; null for one that is refused before any is asked. */
function keyReader(name: string, terms: readonly Term[]): (request: PolicyRequest) => { readonly key: string; readonly holding: readonly number[] } | null {
  const facts = new Facts();
  return (request) => {
    if (!facts.load(request)) return null;
    const holding = terms.filter((term) => term.test(facts)).map((term) => term.id);
    // A peer without identity is turned away by a STRICT port before any term is asked, so it is a class of its own.
    const apart = name === 'identity' && request.source.principal === null ? 'plaintext' : 'any';
    return { key: `${apart} ${holding.join(',')}`, holding };
  };
}

function postings(classes: readonly ValueClass[]): Map<number, number[]> {
  const holds = new Map<number, number[]>();
  classes.forEach(({ terms }, index) => {
    for (const term of terms) {
      const list = holds.get(term);
      if (list) list.push(index);
      else holds.set(term, [index]);
    }
  });
  return holds;
}

function choices(name: string, terms: readonly Term[], context: FieldContext): Classes<Change> {
  const patterns = new Set(terms.flatMap((term) => term.values));
  if (name === 'identity') return identityChoices(terms, context);
  if (name === 'path') return mapped(pathClasses(patterns, context.meshes), (path) => http({ path: path as NonNullable<PolicyRequest['http']>['path'] }));
  if (name === 'method') return mapped(stringClasses(patterns, { valid: (text) => /^[^a-z\s]+$/.test(text), extra: ['GET', 'POST'] }), (method) => http({ method }));
  if (name === 'host') return hostChoices(terms);
  if (name === 'source.ip') return mapped(addressClasses(patterns), (ip) => (request) => ({ ...request, source: { ...request.source, ip } }));
  if (name === 'remote.ip') return mapped(addressClasses(patterns), (remoteIp) => (request) => ({ ...request, source: { ...request.source, remoteIp } }));
  if (name === 'token') return mapped(tokenClasses(terms), (token) => (request) => ({ ...request, token }));
  if (name === 'sni') return withNone(mapped(stringClasses(patterns), (sni) => (request) => ({ ...request, sni })));
  if (name.startsWith('header:')) return mapped(repeatedClasses(patterns), headerChange(name.slice('header:'.length)));
  throw new Error(`no classes are known for ${name}`);
}

function hostChoices(terms: readonly Term[]): Classes<Change> {
  const [own, authority] = [terms.filter(({ subject }) => subject === 'hosts'), terms.filter(({ subject }) => subject !== 'hosts')];
  const texts = (some: readonly Term[]) => some.flatMap(({ values }) => values);
  return mapped(hostClasses(texts(own), texts(authority)), (host) => http({ host }));
}

function mapped<V>({ values, complete }: Classes<V>, change: (value: V) => Change): Classes<Change> {
  return { complete, values: values.map((each): Choice => ({ ...each, value: change(each.value) })) };
}

function withNone({ values, complete }: Classes<Change>): Classes<Change> {
  return { complete, values: [{ value: (request) => request, label: NONE }, ...values] };
}

function http(changes: Partial<NonNullable<PolicyRequest['http']>>): Change {
  return (request) => (request.http === undefined ? request : { ...request, http: { ...request.http, ...changes } });
}

function headerChange(name: string): (values: readonly string[]) => Change {
  return (values) => (request) => (request.http === undefined || values.length === 0 ? request : http({ headers: { ...request.http.headers, [name]: values } })(request));
}

function identityChoices(terms: readonly Term[], { known, meshes }: FieldContext): Classes<Change> {
  const { values, complete } = identityClasses(terms);
  const set = (principal: string | null): Change => (request) => ({ ...request, source: { ...request.source, principal } });
  const usual = meshes.map((mesh) => `spiffe://${mesh.trustDomain}/ns/other/sa/other`);
  return {
    complete,
    values: [
      { value: set(null), label: PLAINTEXT },
      ...[...usual, ...known].map((id): Choice => ({ value: set(id), label: ANY_OTHER, secondary: true })),
      // The usual form makes the better example of a class that has both.
      ...values.filter(({ value }) => !USUAL_FORM.test(value)).flatMap(({ value }) => ['/sa/other', '/other'].map((rest): Choice => ({ value: set(`spiffe://${value}${rest}`), label: ANY_OTHER, secondary: true }))),
      ...values.map(({ value, label }): Choice => ({ value: set(`spiffe://${value}`), label })),
    ],
  };
}
