import { KINDS, type Kind } from '@sallyport/shared/resources';
import type { Case } from './crd-cases.ts';
import { objectOf, sampleOf } from './crd-objects.ts';

const NAMES: readonly unknown[] = ['', 'a', 'A', 'a.b', '-a', 'a-', 'a_b', 'ä', 'a/b', 'a'.repeat(63), 'a'.repeat(64), 7, null];
const KEYS: readonly string[] = ['', 'a', 'A.b_c', 'a b', '-a', 'a-', 'a/b', 'a.test/b', 'A.test/b', 'a/b/c', '/a', 'a/', 'a..b/c', 'ä', 'a'.repeat(63), 'a'.repeat(64), `${'a'.repeat(253)}/a`, `${'a'.repeat(254)}/a`];
const VALUES: readonly unknown[] = ['', 'a', 'A.b_c', 'a b', '-a', 'a-', 'ä', 'a/b', 'a\n', 'a'.repeat(63), 'a'.repeat(64), 7, true, ['a']];

/** Names, labels and annotations at their borders, on an object that is valid otherwise. */
export function metadataCases(kind: Kind): readonly Case[] {
  const object = objectOf(sampleOf(kind));
  const make = (place: string, put: unknown, metadata: object): Case => ({ kind, place, put: JSON.stringify(put), object: { ...object, metadata: { ...(object['metadata'] as object), ...metadata } } });
  return [
    ...NAMES.map((name) => make('metadata.name', name, { name })),
    ...KEYS.flatMap((key) => [make('metadata.labels{key}', key, { labels: { [key]: 'a' } }), make('metadata.annotations{key}', key, { annotations: { [key]: 'a b' } })]),
    ...VALUES.map((value) => make('metadata.labels{}', value, { labels: { a: value } })),
    ...[7, ['a'], 'a'.repeat(4096)].map((value) => make('metadata.annotations{}', value, { annotations: { a: value } })),
    make('metadata.unknown', 1, { unknown: 1 }),
    ...(KINDS[kind].namespaced ? [] : [make('metadata.namespace', 'shop', { namespace: 'shop' })]),
  ];
}
