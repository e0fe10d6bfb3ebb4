import type { z } from 'zod';
import { KINDS, type Kind, type Resource } from './kinds.ts';
import { API_VERSION } from './meta.ts';
import { readYaml } from './yaml.ts';

/** One thing wrong with a resource: where, what, and what to do about it. */
export interface ResourceProblem {
  /** `Kind namespace/name`, as far as it is known, and the document's number in its file. */
  readonly resource: string;
  /** Field path such as `spec.rules[0].from[0].source.ipBlocks[1]`, or the empty string. */
  readonly field: string;
  readonly message: string;
}

/** Raised when any part of the input is unusable; nothing of it was taken. */
export class InvalidResourceError extends Error {
  override readonly name = 'InvalidResourceError';
  readonly problems: readonly ResourceProblem[];
  constructor(problems: readonly ResourceProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** A problem on one line: `AuthorizationPolicy shop/pay: spec.action: …`. */
export function formatProblem(problem: ResourceProblem): string {
  return [problem.resource, problem.field, problem.message].filter((part) => part !== '').join(': ');
}

export const MAX_MANIFEST_BYTES = 1024 * 1024;
const MAX_DOCUMENTS = 1000;
const SHOWN_KEYS = 10;

/**
 * Reads a manifest of one or more YAML or JSON documents.
 *
 * @returns the resources, in order, with defaults filled in
 * @throws InvalidResourceError listing every problem of every document; unknown fields are problems
 */
export function parseManifest(text: string): Resource[] {
  const { documents, problems } = readDocuments(text, MAX_MANIFEST_BYTES);
  const resources: Resource[] = [];
  for (const { label, value } of documents) collect(value, label, resources, problems);
  if (problems.length > 0) throw new InvalidResourceError(problems);
  return resources;
}

/** The documents of a text that could be read, and what is wrong with the others. */
export interface Documents {
  /** `label` is `document N`, counted from 1 with the empty ones. */
  readonly documents: readonly { readonly label: string; readonly value: unknown }[];
  readonly problems: ResourceProblem[];
}

/**
 * Reads YAML or JSON documents as plain values; empty ones are left out.
 *
 * @throws InvalidResourceError when the text as a whole is too large
 */
export function readDocuments(text: string, maxBytes: number): Documents {
  if (Buffer.byteLength(text) > maxBytes) throw fail('manifest', `is larger than ${maxBytes} bytes; split it into several files`);
  const parsed = readYaml(text);
  if (parsed.length > MAX_DOCUMENTS) throw fail('manifest', `has more than ${MAX_DOCUMENTS} documents; split it`);
  const problems: ResourceProblem[] = [];
  const documents: { label: string; value: unknown }[] = [];
  parsed.forEach((document, index) => {
    const label = `document ${index + 1}`;
    if ('problem' in document) problems.push({ resource: label, field: '', message: document.problem });
    else if (document.value !== null && document.value !== undefined) documents.push({ label, value: document.value });
  });
  return { documents, problems };
}

function collect(value: unknown, label: string, resources: Resource[], problems: ResourceProblem[]): void {
  try {
    resources.push(parseResource(value, label));
  } catch (error) {
    if (!(error instanceof InvalidResourceError)) throw error;
    problems.push(...error.problems);
  }
}

/**
 * Checks one object against its kind's schema and scope.
 *
 * @throws InvalidResourceError naming each field that is wrong
 */
export function parseResource(value: unknown, label = 'resource'): Resource {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(label, 'must be an object');
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (apiVersion !== API_VERSION) throw fail(label, `apiVersion must be ${API_VERSION}`);
  if (typeof kind !== 'string' || !isKind(kind)) {
    throw fail(label, `kind must be one of ${Object.keys(KINDS).join(', ')}`);
  }
  const result = KINDS[kind].schema.safeParse(value);
  const name = describeResource(kind, value);
  if (!result.success) throw new InvalidResourceError(problemsOf(name, result.error));
  checkScope(kind, result.data, name);
  return result.data;
}

/** True for the name of a kind that this version knows. */
export function isKind(text: string): text is Kind {
  return Object.hasOwn(KINDS, text);
}

function checkScope(kind: Kind, resource: Resource, name: string): void {
  const namespaced = KINDS[kind].namespaced;
  if (namespaced && resource.metadata.namespace === undefined) {
    throw new InvalidResourceError([{ resource: name, field: 'metadata.namespace', message: 'is required for this kind' }]);
  }
  if (!namespaced && resource.metadata.namespace !== undefined) {
    throw new InvalidResourceError([{ resource: name, field: 'metadata.namespace', message: 'must be absent: this kind belongs to no namespace' }]);
  }
}

/** `Kind namespace/name`, as far as the value tells. */
export function describeResource(kind: string, value: object): string {
  const metadata = (value as { metadata?: { name?: unknown; namespace?: unknown } }).metadata;
  const name = typeof metadata?.name === 'string' ? metadata.name : '(unnamed)';
  return typeof metadata?.namespace === 'string' ? `${kind} ${metadata.namespace}/${name}` : `${kind} ${name}`;
}

/** What a schema found wrong, each with its place. */
export function problemsOf(resource: string, error: z.ZodError): ResourceProblem[] {
  return error.issues.map((issue) => toProblem(resource, issue));
}

function toProblem(resource: string, issue: z.core.$ZodIssue): ResourceProblem {
  const field = issue.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
  if (issue.code === 'unrecognized_keys') {
    const more = issue.keys.length > SHOWN_KEYS ? ` and ${issue.keys.length - SHOWN_KEYS} more` : '';
    return { resource, field, message: `unknown field ${issue.keys.slice(0, SHOWN_KEYS).map((key) => `"${key}"`).join(', ')}${more}; remove it or correct its spelling` };
  }
  return { resource, field, message: issue.message };
}

function fail(resource: string, message: string): InvalidResourceError {
  return new InvalidResourceError([{ resource, field: '', message }]);
}
