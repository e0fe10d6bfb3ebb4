import type { CelRule } from '@sallyport/shared/resources';

/** JSON Schema as zod writes it, with the metadata of our own; only what the generators read is named. */
export interface Schema {
  [keyword: string]: unknown;
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  anyOf?: Schema[];
  enum?: unknown[];
  cel?: CelRule[];
  listMapKey?: string;
}

/** What the API server checks itself, so that zod's long pattern for it says nothing more. */
const KNOWN_FORMAT = 'date-time';

/**
 * A schema in Kubernetes' structural form: "additionalProperties is mutually exclusive with properties", no
 * `propertyNames`, and of alternatives all fields together.
 */
export function structural(schema: Schema): Schema {
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return alternatives(schema, variants);
  const { $schema: _, propertyNames: __, keys: ___, cel, listMapKey, ...kept } = schema;
  const out: Schema = { ...kept };
  if (out.type === 'integer') dropSafeIntegerLimits(out);
  if (out.format === KNOWN_FORMAT) delete out['pattern'];
  // The API server's formats are laxer than the patterns beside them (10.0.0.01), and let lists through.
  else delete out.format;
  if (out.properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(out.properties).map(([key, value]) => [key, structural(value)]));
    delete out.additionalProperties;
  } else if (typeof out.additionalProperties === 'object') {
    out.additionalProperties = structural(out.additionalProperties);
  } else if (out.additionalProperties === false) {
    delete out.additionalProperties;
  }
  if (out.items !== undefined) out.items = structural(out.items);
  if (listMapKey !== undefined) Object.assign(out, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [listMapKey] });
  const rules = [...(cel ?? []), ...brokenLimits(out)];
  if (rules.length > 0) out['x-kubernetes-validations'] = rules;
  return out;
}

/** The API server cuts a limit such as 0.5 down to 0 when it compares it with a whole number; CEL does not. */
function brokenLimits(schema: Schema): CelRule[] {
  const limits = [['minimum', '>='], ['maximum', '<=']] as const;
  return limits.flatMap(([keyword, sign]) => {
    const limit = schema[keyword];
    return typeof limit !== 'number' || Number.isInteger(limit) ? [] : [{ rule: `self ${sign} ${limit}`, message: `must be ${sign} ${limit}` }];
  });
}

/** JavaScript's limits of an exact integer say nothing about the field. */
function dropSafeIntegerLimits(schema: Schema): void {
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
}

function alternatives(schema: Schema, variants: readonly Schema[]): Schema {
  const { oneOf: _, anyOf: __, ...outer } = schema;
  // Objects: all fields of all variants, of which only the common ones are required; CEL says which field goes with which.
  const properties: Record<string, Schema> = {};
  for (const variant of variants) {
    for (const [key, value] of Object.entries(variant.properties ?? {})) {
      const known = properties[key];
      const next = structural(value);
      properties[key] = known?.enum && next.enum ? { ...next, ...known, enum: [...new Set([...known.enum, ...next.enum])] } : next;
    }
  }
  const first = variants[0]?.required ?? [];
  const required = first.filter((key) => variants.every((variant) => variant.required?.includes(key)));
  return { ...outer, type: 'object', properties, required, 'x-kubernetes-validations': variants.flatMap((variant) => belongings(variant, variants, required)) };
}

/** What a variant needs, and what only it may have, by the fixed value that tells it from the others. */
function belongings(variant: Schema, variants: readonly Schema[], common: readonly string[]): CelRule[] {
  const [name, fixed] = Object.entries(variant.properties ?? {}).find(([, { enum: values }]) => values?.length === 1) ?? [];
  if (name === undefined) throw new Error('alternatives of objects need a field with one value each');
  const value = JSON.stringify(fixed?.enum?.[0]).replaceAll('"', "'");
  const needed = (variant.required ?? []).filter((key) => !common.includes(key));
  const others = variants.filter((other) => other !== variant);
  const own = Object.keys(variant.properties ?? {}).filter((key) => others.every((other) => !Object.hasOwn(other.properties ?? {}, key)));
  return [
    ...(needed.length === 0 ? [] : [{ rule: `self.${name} != ${value} || (${needed.map((key) => `has(self.${key})`).join(' && ')})`, message: `with ${name} ${value} needs ${needed.join(', ')}` }]),
    ...(own.length === 0 ? [] : [{ rule: `self.${name} == ${value} || !(${own.map((key) => `has(self.${key})`).join(' || ')})`, message: `only ${name} ${value} has ${own.join(', ')}` }]),
  ];
}
