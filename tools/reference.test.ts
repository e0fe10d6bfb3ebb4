import { KINDS, type Kind, parseManifest } from '@sallyport/shared/resources';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EXAMPLES } from './reference-examples.ts';
import { referenceFiles } from './reference.ts';

const kinds = Object.keys(KINDS) as Kind[];
const pages = referenceFiles();

describe.each(kinds)('%s', (kind) => {
  const page = pages.get(`docs/reference/${KINDS[kind].plural}.md`) ?? '';

  it('has an example that is taken', () => {
    expect(parseManifest(EXAMPLES[kind]).map((resource) => resource.kind)).toEqual([kind]);
  });

  it('has words for every field', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((line) => line.endsWith('|  |'))).toEqual([]);
  });
});

it('lists just the condition keys that are taken', () => {
  const page = pages.get('docs/reference/authorizationpolicies.md') ?? '';
  const keys = [...(page.split('## Keys of `when`')[1]?.split('##')[0] ?? '').matchAll(/^\| `([^`]+)`/gm)].map(([, key]) => key);
  const policy = (key: string) => `apiVersion: sallyport.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec: {rules: [{when: [{key: "${key}", values: ["10"]}]}]}`;
  expect(keys).toHaveLength(17);
  for (const key of keys) expect(() => parseManifest(policy(key ?? '').replace('"10"', (key ?? '').endsWith('.ip') ? '10.0.0.1' : '"10"'))).not.toThrow();
});

it('links to pages that exist', () => {
  const targets = [...pages.values()].flatMap((text) => [...text.matchAll(/\]\(([^)]+\.md)\)/g)].map(([, target]) => target ?? ''));
  expect(targets.length).toBeGreaterThan(kinds.length);
  for (const target of targets) expect(pages.has(`docs/reference/${target}`) || existsSync(`docs/reference/${target}`)).toBe(true);
});
