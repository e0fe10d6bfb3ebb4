import { canonicalJson } from '@sallyport/shared/mesh';
import { ConflictError } from './ports.ts';

/** Content that managers own: the top-level fields of spec, and each label and annotation. */
export interface Owned {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** One manager's claim, as in `metadata.managedFields`. */
export interface Claim {
  readonly manager: string;
  readonly fields: readonly string[];
  readonly time: string;
}

type Fields = Map<string, unknown>;

function flatten(owned: Owned): Fields {
  const fields: Fields = new Map();
  for (const section of ['labels', 'annotations', 'spec'] as const) {
    for (const [name, value] of Object.entries(owned[section])) {
      if (value !== undefined) fields.set(`${section}:${name}`, value);
    }
  }
  return fields;
}

function unflatten(fields: Fields): Owned {
  const result = { labels: {}, annotations: {}, spec: {} } as Record<keyof Owned, Record<string, unknown>>;
  for (const [path, value] of fields) {
    const at = path.indexOf(':');
    result[path.slice(0, at) as keyof Owned][path.slice(at + 1)] = value;
  }
  return result as unknown as Owned;
}

/**
 * Merges what a manager applies into what is stored, by the rules of Kubernetes' server-side apply, with the top-level
 * fields of `spec` as the unit (lists and maps inside them are atomic): equal values are shared, a different value of a
 * field that somebody else owns is a conflict unless forced, and a field given up by its last owner disappears.
 *
 * @throws ConflictError naming the fields and their owners
 */
export function mergeOwned(
  stored: { readonly owned: Owned; readonly claims: readonly Claim[] } | null,
  applied: Owned,
  manager: string,
  force: boolean,
  time: string,
): { owned: Owned; claims: Claim[] } {
  const wanted = flatten(applied);
  const present = stored ? flatten(stored.owned) : new Map<string, unknown>();
  const others = (stored?.claims ?? []).filter((claim) => claim.manager !== manager);
  const mine = stored?.claims.find((claim) => claim.manager === manager)?.fields ?? [];
  const contested = [...wanted.keys()].filter(
    (path) => others.some((claim) => claim.fields.includes(path)) && canonicalJson(present.get(path)) !== canonicalJson(wanted.get(path)),
  );
  if (contested.length > 0 && !force) throw new ConflictError(describeConflict(contested, others));
  const merged = new Map(present);
  for (const path of mine) {
    if (!wanted.has(path) && !others.some((claim) => claim.fields.includes(path))) merged.delete(path);
  }
  for (const [path, value] of wanted) merged.set(path, value);
  const kept = others
    .map((claim) => ({ ...claim, fields: claim.fields.filter((path) => !contested.includes(path)) }))
    .filter((claim) => claim.fields.length > 0);
  return { owned: unflatten(merged), claims: [...kept, { manager, fields: [...wanted.keys()].sort(), time }] };
}

function describeConflict(paths: readonly string[], others: readonly Claim[]): string {
  const parts = paths.map((path) => {
    const owners = others.filter((claim) => claim.fields.includes(path)).map((claim) => `"${claim.manager}"`);
    const at = path.indexOf(':');
    const prefix = path.startsWith('spec:') ? 'spec' : `metadata.${path.slice(0, at)}`;
    return `${prefix}.${path.slice(at + 1)} is owned by ${owners.join(', ')}`;
  });
  return `${parts.join('; ')}; apply with force to take the fields over`;
}
