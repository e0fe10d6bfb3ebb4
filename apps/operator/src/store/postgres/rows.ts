import type { Resource } from '@sallyport/shared/resources';
import { API_VERSION, isKind, KINDS } from '@sallyport/shared/resources';
import type { Resource as Row } from '../../generated/prisma/client.ts';
import type { Claim, Owned } from '../ownership.ts';

/** What a manager can own of an object on its way in. */
export function ownedOf(object: Resource): Owned {
  return { labels: object.metadata.labels ?? {}, annotations: object.metadata.annotations ?? {}, spec: object.spec };
}

/** What is stored of the same. */
export function storedOf(row: Row): { owned: Owned; claims: Claim[] } {
  return {
    owned: { labels: row.labels, annotations: row.annotations, spec: row.spec } as unknown as Owned,
    claims: row.managedFields as unknown as Claim[],
  };
}

/** A row as the CRD-shaped object that the API shows. */
export function toResource(row: Row): Resource {
  const labels = row.labels as Record<string, string>;
  const annotations = row.annotations as Record<string, string>;
  const object = {
    apiVersion: API_VERSION,
    kind: row.kind,
    metadata: {
      name: row.name,
      ...(row.namespace === '' ? {} : { namespace: row.namespace }),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      uid: row.uid,
      generation: row.generation,
      resourceVersion: String(row.revision),
      creationTimestamp: row.createdAt.toISOString(),
      managedFields: row.managedFields,
    },
    spec: present(row),
    ...(row.status === null ? {} : { status: row.status }),
  };
  return object as unknown as Resource;
}

/**
 * The spec with the defaults of fields that came after it was written. It was valid then; where this version would
 * refuse it, it stays as it is, because what is in force must not vanish by an upgrade.
 */
function present({ kind, spec }: Row): unknown {
  if (!isKind(kind)) return spec;
  const result = KINDS[kind].schema.shape.spec.safeParse(spec);
  return result.success ? result.data : spec;
}
