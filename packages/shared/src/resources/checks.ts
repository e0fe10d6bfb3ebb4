import type { z } from 'zod';

/** A condition across fields, told once for every place that checks it. */
export interface FieldCheck<T> {
  /** For zod: the store, the API, the command line. */
  readonly test: (value: T) => boolean;
  /** The same for the API server of Kubernetes, in CEL; `npm run generate` puts it into the CRD. */
  readonly cel: string;
  /** Names the remedy. */
  readonly message: string;
  /** The field at fault, below the value; absent: the value itself. */
  readonly field?: string;
  /** The exact places at fault, which zod can name and CEL cannot. */
  readonly places?: (value: T) => (string | number)[][];
  /** For CEL, where the message has to name the places that it cannot point at. */
  readonly celMessage?: string;
}

/** What {@link checked} leaves in a schema's metadata for the generator of the CRDs. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/**
 * Adds conditions across fields to a schema. The same test table is put to zod and to Kubernetes' own CEL
 * (tools/crdcheck), so that the two texts of a check cannot come to mean different things.
 */
export function checked<S extends z.ZodType>(schema: S, ...checks: readonly FieldCheck<z.output<S>>[]): S {
  const refined = checks.reduce((before, { test, message, field, places }) => before.superRefine((value, ctx) => {
    if (test(value)) return;
    for (const path of places?.(value) ?? [field === undefined ? [] : [field]]) ctx.addIssue({ code: 'custom', path, message });
  }), schema);
  const cel = checks.map(({ cel: rule, message, celMessage, field }): CelRule => ({
    rule, message: celMessage ?? message, ...(field === undefined ? {} : { fieldPath: `.${field}` }),
  }));
  return refined.meta({ cel });
}

/** At least one field must be given. Structural schemas have a keyword for it, which costs the API server nothing. */
export function notEmpty<S extends z.ZodObject>(schema: S, message: string): S {
  return schema.refine((value) => Object.keys(value as object).length > 0, message).meta({ minProperties: 1 });
}

/** A record of at most so many entries: zod has no such limit of its own, and CEL rules need one to have a bounded cost. */
export function atMost<S extends z.ZodRecord>(schema: S, entries: number): S {
  return schema.refine((value) => Object.keys(value as object).length <= entries, `may have at most ${entries} entries`).meta({ maxProperties: entries });
}
