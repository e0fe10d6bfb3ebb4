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

/** Formats that the API server checks itself, so that zod's long patterns for them say nothing more. */
const KNOWN_FORMATS = new Set(['date-time', 'ipv4', 'ipv6']);

/**
 * A schema in Kubernetes' structural form: "additionalProperties is mutually exclusive with properties", no
 * `propertyNames`, and alternatives only as value checks beside a type that stands outside of them.
 */
export function structural(schema: Schema): Schema {
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return alternatives(schema, variants);
  const { $schema: _, propertyNames: __, keys: ___, cel, listMapKey, ...kept } = schema;
  const out: Schema = { ...kept };
  if (out.type === 'integer') dropSafeIntegerLimits(out);
  if (KNOWN_FORMATS.has(out.format ?? '')) delete out['pattern'];
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
  if (cel !== undefined) out['x-kubernetes-validations'] = cel;
  return out;
}

/** JavaScript's limits of an exact integer say nothing about the field. */
function dropSafeIntegerLimits(schema: Schema): void {
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
}

function alternatives(schema: Schema, variants: readonly Schema[]): Schema {
  const { oneOf: _, anyOf: __, ...outer } = schema;
  if (variants.every((variant) => variant.type === 'string')) {
    return { ...outer, type: 'string', anyOf: variants.map((variant) => structural(variant)).map(({ type: ___, ...checks }) => checks) };
  }
  // Objects: all fields of all variants, of which only the common ones are required. The operator's own check decides.
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
  return { ...outer, type: 'object', properties, required };
}
