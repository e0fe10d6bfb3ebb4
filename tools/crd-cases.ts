import type { Kind } from '@sallyport/shared/resources';
import { objectOf, SAMPLES } from './crd-objects.ts';
import { schemasOf } from './crds.ts';
import type { Schema } from './structural.ts';

/** An object with one thing put somewhere, for two judges that must agree about it. */
export interface Case {
  readonly kind: Kind;
  /** Place in the schema, such as `spec.rules[].from[].source.ipBlocks[]`; of a map, `{}` is any value and `{key}` any key. */
  readonly place: string;
  /** What was put there, in JSON, cut short. */
  readonly put: string;
  readonly object: Record<string, unknown>;
}

type Path = readonly (string | number)[];
/** A place of a schema that a valid object has, with the way to it. */
interface Spot {
  readonly place: string;
  readonly path: Path;
  readonly schema: Schema;
  readonly value: unknown;
  /** Names of the fields beside it. */
  readonly neighbours: string;
}

const WRONG_TYPES: readonly unknown[] = [null, 'text', 7, true, [], {}, [null], [['a']], { a: 1 }];
const NUMBERS: readonly number[] = [-1, 0, 1, 2, 0.5, 80, 100, 101, 399, 400, 599, 600, 65_534, 65_535, 65_536, 1_000_000, 1_000_001, 4_294_967_294, 4_294_967_295, 1e15, -1e15, 1e300];
/** Longer lists and texts would only be slow; the limit of 131,072 characters is reached by none of them. */
const MOST = 70_000;
/** Text at the borders of every pattern that a field of ours has. */
const TEXTS: readonly string[] = [
  '', ' ', 'a', 'A', 'a b', 'a\n', '\n', 'ä', '😀', '\u0000', '-a', 'a-', 'a.b', 'a_b', 'a/b', 'a*', '*', '**', 'a'.repeat(63), 'a'.repeat(64), 'a'.repeat(255), 'a'.repeat(256), '😀'.repeat(40),
  'ALLOW', 'allow', 'STRICT', 'http', 'tcp', 'Service', 'true', 'null', '0', '1', '080', '65535', '65536', '1e3', '0x10', '+1',
  '1s', '0s', '10s', '1h', '24h', '1h30m', '1.5h', '1us', '-1s', '168h', '169h', '9999999h', '99999h', '1ms', '999ms', '1m1m1m1m', '1m1m1m1m1m', '1s ',
  '/', '/a', '/a b', '/{*}', '/{**}/a', '/{**}/{*}', '/a{*}', '//', 'unix:/a', 'unix:a', '127.0.0.1:80', '127.0.0.1:', '127.0.0.999:80', '[::1]:80', 'localhost:99999', '0.0.0.0:80',
  '10.0.0.1', '10.0.0.01', '10.0.0.0/8', '10.0.0.0/33', '10.0.0.0/08', '10.1', '::', '::1', 'fe80::1%eth0', '::ffff:10.0.0.1', '1::2::3', 'fd00::/129', '12345::', ':::',
  'https://a', 'HTTPS://A.test/', 'http://a.test', 'https://', 'https://a b', 'https://a.test/x?y', 'https://u:p@a.test/', 'https://a.test:8200', 'https://a.test:99999', 'ftp://a', 'https:a.test', 'https:///a', 'https://[::1]/', 'https://%',
  'spiffe://td/a', 'spiffe://td/', 'spiffe://TD/a', 'spiffe://other.test/a', 'spiffe://td/ns/a/sa/b', '{"keys":[]}', '{}', '[]', '{', 'deadbeef', 'DEADBEEF', 'request.headers[x]', 'request.auth.claims[a][b]', 'source.ip', 'ns/name', 'a'.repeat(1025), 'a'.repeat(4097),
];

/**
 * Every case of a kind: at each place of its schema that a valid sample reaches, each way to be wrong there, and to be just
 * right. `untouched` are the places that no sample reaches.
 */
export function casesOf(kind: Kind): { readonly cases: readonly Case[]; readonly untouched: readonly string[] } {
  const spec = schemasOf(kind).spec;
  const untouched = new Set(placesIn(spec, 'spec'));
  const cases = new Map<string, Case>();
  // Once for each set of neighbours: the checks across fields see those.
  const add = ({ neighbours }: Spot, place: string, value: unknown, object: Record<string, unknown>): void => {
    const name = value === undefined ? 'nothing' : JSON.stringify(value);
    const short = name.length > 60 ? `${name.slice(0, 50)}… (${name.length})` : name;
    const id = `${place} ${neighbours} ${short}`;
    if (!cases.has(id)) cases.set(id, { kind, place, put: short, object });
  };
  for (const sample of SAMPLES.filter(({ kind: of, zod }) => of === kind && zod === 'takes')) {
    const object = objectOf(sample);
    for (const spot of spots(spec, object['spec'], 'spec', ['spec'], '')) {
      untouched.delete(spot.place);
      for (const value of [...valuesFor(spot), undefined]) add(spot, spot.place, value, put(object, spot.path, value));
      for (const [key, value] of otherKeys(spot)) add(spot, `${spot.place}{key}`, key, put(object, spot.path, value));
    }
  }
  return { cases: [...cases.values()], untouched: [...untouched] };
}

/** Every place below a schema. */
function placesIn(schema: Schema, place: string): string[] {
  return [place, ...children(schema).flatMap(([name, child]) => placesIn(child, place + name))];
}

/** What stands below a schema, by the text that it adds to the place; of alternatives all. */
function children(schema: Schema): [string, Schema][] {
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return variants.flatMap(children);
  const map = typeof schema.additionalProperties === 'object' ? [['{}', schema.additionalProperties] as [string, Schema]] : [];
  const items = schema.items ? [['[]', schema.items] as [string, Schema]] : [];
  return [...Object.entries(schema.properties ?? {}).map(([key, child]): [string, Schema] => [`.${key}`, child]), ...map, ...items];
}

function* spots(schema: Schema, value: unknown, place: string, path: Path, neighbours: string): Generator<Spot> {
  yield { place, path, schema, value, neighbours };
  if (typeof value !== 'object' || value === null) return;
  const names = Array.isArray(value) ? '' : Object.keys(value).sort().join();
  for (const [name, child] of children(schema)) {
    for (const [key, below] of Object.entries(value)) {
      const matches = name === '{}' || name === '[]' || name === `.${key}`;
      if (matches) yield* spots(child, below, place + name, [...path, Array.isArray(value) ? Number(key) : key], names);
    }
  }
}

function valuesFor({ schema, value }: Spot): unknown[] {
  if (Array.isArray(value)) return [...WRONG_TYPES, [...value, ...value], ...sized(schema['minItems'], schema['maxItems'], (n) => Array.from({ length: n }, (_, index) => value[index % value.length] as unknown))];
  if (typeof value === 'object' && value !== null) return [...WRONG_TYPES, { ...value, unknownField: 1 }, { ...value, '': 1 }];
  if (typeof value === 'string') return [...WRONG_TYPES, ...TEXTS, ...(schema.enum ?? []), ...sized(schema['minLength'], schema['maxLength'], (n) => value.padEnd(n, value.at(-1)).slice(0, n))];
  if (typeof value === 'number') return [...WRONG_TYPES, ...NUMBERS, ...sized(schema['minimum'], schema['maximum'], (n) => n)];
  return [...WRONG_TYPES, false];
}

/** What is made of each limit and of one less and one more. */
function sized<T>(least: unknown, most: unknown, make: (n: number) => T): T[] {
  return [least, most].flatMap((limit) => (typeof limit === 'number' ? [limit - 1, limit, limit + 1] : [])).filter((n) => n >= 0 && n <= MOST).map(make);
}

/** A map whose first key is another, and maps of as many entries as may be, and one more. */
function otherKeys({ schema, value }: Spot): [string, unknown][] {
  if (typeof schema.additionalProperties !== 'object') return [];
  const [first] = Object.values(value as object) as unknown[];
  if (first === undefined) return [];
  const many = sized(undefined, schema['maxProperties'], (n): [string, unknown] => [`${n} keys`, Object.fromEntries(Array.from({ length: n }, (_, index) => [String(index + 1), first]))]);
  return [...TEXTS.map((text): [string, unknown] => [text, { [text]: first }]), ...many];
}

/** A copy of an object with another value at a place; undefined takes the place away. */
function put(object: Record<string, unknown>, path: Path, value: unknown): Record<string, unknown> {
  const copy = structuredClone(object);
  const last = path.at(-1) ?? '';
  const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string | number, unknown>)[key], copy) as Record<string | number, unknown>;
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}
