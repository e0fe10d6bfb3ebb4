import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { crdFiles } from './crds.ts';

const { parse } = createRequire(resolve('packages/shared/package.json'))('yaml') as { parse: (text: string) => unknown };

interface Definition {
  metadata: { name: string };
  spec: { scope: string; versions: { schema: { openAPIV3Schema: { properties: { spec: Node } } } }[] };
}
interface Node {
  type?: string;
  properties?: Record<string, Node>;
  additionalProperties?: unknown;
  items?: Node;
  oneOf?: unknown;
  required?: string[];
  enum?: string[];
  anyOf?: unknown;
}

const definitions = [...crdFiles().values()].map((text) => parse(text) as Definition);

function specOf(plural: string): Node {
  const found = definitions.find((item) => item.metadata.name === `${plural}.sallyport.dev`);
  const spec = found?.spec.versions[0]?.schema.openAPIV3Schema.properties.spec;
  if (spec === undefined) throw new Error(`no CRD ${plural}`);
  return spec;
}

function everyNode(node: Node, check: (node: Node) => void): void {
  check(node);
  Object.values(node.properties ?? {}).forEach((child) => everyNode(child, check));
  if (node.items) everyNode(node.items, check);
}

test('there is one for each kind, in its scope', () => {
  expect(definitions.map((item) => item.spec.scope).sort()).toEqual(['Cluster', 'Cluster', ...Array.from({ length: 7 }, () => 'Namespaced')]);
});

test('schemas are structural: typed, and never properties beside additionalProperties', () => {
  for (const plural of ['meshes', 'workloads', 'services', 'peerauthentications', 'authorizationpolicies', 'requestauthentications', 'trafficpolicies', 'expectedgraphs']) {
    everyNode(specOf(plural), (node) => {
      expect(node.type).toBeTypeOf('string');
      expect(node.oneOf).toBeUndefined();
      expect(node.properties !== undefined && node.additionalProperties !== undefined).toBe(false);
      expect(node.anyOf).toBeUndefined();
    });
  }
});

test('every definition outlives the chart that installs it, and is no template', () => {
  for (const text of crdFiles().values()) expect(text).toMatch(/^ {4}"helm.sh\/resource-policy": keep$/m);
  for (const text of crdFiles().values()) expect(text).not.toContain('{{');
});

test('alternatives of an outbound listener keep all fields and require the common ones', () => {
  const outbound = specOf('workloads').properties?.['outbound']?.items;
  expect(outbound?.required?.toSorted()).toEqual(['listen', 'protocol']);
  expect(outbound?.properties?.['protocol']?.enum).toEqual(['http', 'tcp']);
  expect(Object.keys(outbound?.properties ?? {})).toContain('service');
});
