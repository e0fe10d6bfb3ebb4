import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '@sallyport/shared/mesh';
import { configDelta, type ConfigEntry, configEntry, setHashInput } from '@sallyport/shared/push';

/** One entry as it was received. `raw` is what was hashed; `entry` has its defaults filled in. */
export interface StoredEntry {
  readonly hash: string;
  readonly raw: unknown;
  readonly entry: ConfigEntry;
}

/** A complete configuration by entry name. */
export type ConfigSet = ReadonlyMap<string, StoredEntry>;

/** Why a delta is refused, in the form of the NACK. `name` is the entry, or '' for the delta as a whole. */
export interface ConfigProblem {
  readonly name: string;
  readonly message: string;
}

/** Raised for configuration that is not applied; nothing of it is. */
export class RefusedConfigError extends Error {
  override readonly name = 'RefusedConfigError';
  readonly problems: readonly ConfigProblem[];
  /** True when this proxy and the operator disagree on what the proxy holds. */
  readonly resync: boolean;
  constructor(problems: readonly ConfigProblem[], resync = false) {
    super(problems.map(({ name, message }) => `${name}: ${message}`).join('; '));
    this.problems = problems;
    this.resync = resync;
  }
}

/** A delta whose entries are not checked yet, so that a NACK can name the one that is wrong. */
const envelope = configDelta.extend({ upserts: z.array(z.strictObject({ name: z.string(), hash: z.string(), entry: z.unknown() })) });
export type DeltaEnvelope = z.infer<typeof envelope>;

/** Reads one line of the stream. @throws RefusedConfigError when it is no delta at all */
export function readDelta(line: string): DeltaEnvelope {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RefusedConfigError([{ name: '', message: 'not JSON' }], true);
  }
  const result = envelope.safeParse(value);
  if (!result.success) throw new RefusedConfigError([{ name: '', message: describe(result.error) }], true);
  return result.data;
}

/**
 * The set that results from `base` and a delta. `base` is left as it is.
 *
 * @throws RefusedConfigError naming every entry that is malformed or hashes differently, or asking for a resync when
 *   the resulting set is not the one that the operator means
 */
export function applyDelta(base: ConfigSet, delta: DeltaEnvelope): ConfigSet {
  const next = new Map(base);
  const problems: ConfigProblem[] = [];
  for (const name of delta.removed) next.delete(name);
  for (const { name, hash, entry } of delta.upserts) {
    try {
      next.set(name, readEntry(name, hash, entry));
    } catch (error) {
      problems.push({ name, message: (error as Error).message });
    }
  }
  if (problems.length > 0) throw new RefusedConfigError(problems);
  const setHash = sha256(setHashInput(hashesOf(next)));
  if (setHash !== delta.setHash) throw new RefusedConfigError([{ name: '', message: 'the resulting set has another hash' }], true);
  return next;
}

/** Checks one entry: schema, hash, and that its name says what it is. @throws Error saying what is wrong */
export function readEntry(name: string, hash: string, raw: unknown): StoredEntry {
  const result = configEntry.safeParse(raw);
  if (!result.success) throw new Error(describe(result.error));
  if (sha256(canonicalJson(raw)) !== hash) throw new Error('its hash does not match its content');
  const expected = nameOf(result.data);
  if (expected !== name) throw new Error(`it is ${expected} by its content`);
  return { hash, raw, entry: result.data };
}

/** Hash by entry name: what a subscription tells the operator that we have. */
export function hashesOf(set: ConfigSet): Record<string, string> {
  return Object.fromEntries([...set].map(([name, { hash }]) => [name, hash]));
}

function nameOf(entry: ConfigEntry): string {
  if (entry.type === 'mesh' || entry.type === 'bundle') return entry.type;
  if (entry.type === 'federation') return `federation/${entry.value.trustDomain}`;
  if (entry.type === 'jwks') return `jwks/${sha256(entry.value.source)}`;
  if (entry.type === 'service') return `service/${path(entry.value)}`;
  if (entry.type === 'traffic') return `traffic/${path(entry.value.resource.metadata)}`;
  if (entry.type === 'workload') return `workload/${path(entry.value.resource.metadata)}`;
  return `${entry.type}/${path(entry.value.metadata)}`;
}

function path(metadata: { readonly name: string; readonly namespace?: string | undefined }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${issue.path.map(String).join('.')}: ${issue.message}`.slice(0, 500) : 'malformed';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
