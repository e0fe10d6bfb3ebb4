import { API_VERSION, type Kind, KINDS, type ObjectMeta, type Resource } from '@sallyport/shared/resources';
import { z } from 'zod';
import type { KubeObject } from '../../kubernetes/list-watch.ts';

const managed = z.array(z.looseObject({ manager: z.string().default(''), operation: z.string().default(''), time: z.string().optional(), fieldsV1: z.record(z.string(), z.unknown()).optional() }));

/**
 * An object of the API server as the rest of the operator knows it: with the defaults of fields that came after it was
 * written, as the PostgreSQL store gives it, and with what managers own by its top-level names. Metadata that is
 * Kubernetes' own business (finalizers, owner references) stays in the cluster: writes are server-side applies, which leave
 * alone what they do not name.
 */
export function fromKube(kind: Kind, object: KubeObject): Resource {
  const { spec, status } = object as { spec?: unknown; status?: unknown };
  const parsed = KINDS[kind].schema.shape.spec.safeParse(spec ?? {});
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: metadataOf(object),
    spec: parsed.success ? parsed.data : spec,
    ...(status === undefined ? {} : { status }),
  } as unknown as Resource;
}

function metadataOf({ metadata }: KubeObject): ObjectMeta {
  const { name, namespace, uid, resourceVersion } = metadata;
  const { labels, annotations, generation, creationTimestamp, managedFields } = metadata as Partial<ObjectMeta>;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    uid,
    ...(generation === undefined ? {} : { generation }),
    resourceVersion,
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    managedFields: claims(managedFields),
  };
}

/** `f:spec: {f:ports: …}` as `spec:ports`: the unit by which our stores tell who owns what. */
function claims(fields: unknown): NonNullable<ObjectMeta['managedFields']> {
  const parsed = managed.safeParse(fields ?? []);
  if (!parsed.success) return [];
  return parsed.data
    .filter(({ operation }) => operation === 'Apply' || operation === 'Update')
    .map(({ manager, time, fieldsV1 }) => ({ manager, time: time ?? '1970-01-01T00:00:00Z', fields: owned(fieldsV1 ?? {}) }))
    .filter((claim) => claim.fields.length > 0);
}

function owned(fields: Readonly<Record<string, unknown>>): string[] {
  const inside = (value: unknown): string[] => Object.keys(value ?? {}).filter((key) => key.startsWith('f:')).map((key) => key.slice(2));
  const metadata = (fields['f:metadata'] ?? {}) as Record<string, unknown>;
  return [
    ...inside(metadata['f:annotations']).map((name) => `annotations:${name}`),
    ...inside(metadata['f:labels']).map((name) => `labels:${name}`),
    ...inside(fields['f:spec']).map((name) => `spec:${name}`),
  ].sort();
}
