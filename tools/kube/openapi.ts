import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * `node tools/kube/openapi.ts` writes what older Kubernetes versions say of the kinds that our chart has, out of the Go module
 * `k8s.io/kubernetes` of each. Committed, so that a test needs neither Go nor 200 MB a version.
 */
export const OLDER_VERSIONS = ['v1.31.14', 'v1.34.3'] as const;
export const OPENAPI_FOLDER = join(import.meta.dirname, 'openapi');

/** Kinds of the chart, by their names in Kubernetes' OpenAPI. */
const KINDS = [
  'api.admissionregistration.v1.MutatingWebhookConfiguration', 'api.admissionregistration.v1.ValidatingAdmissionPolicy', 'api.admissionregistration.v1.ValidatingAdmissionPolicyBinding',
  'api.apps.v1.DaemonSet', 'api.apps.v1.Deployment', 'api.core.v1.ConfigMap', 'api.core.v1.PersistentVolumeClaim', 'api.core.v1.Pod', 'api.core.v1.Secret', 'api.core.v1.Service', 'api.core.v1.ServiceAccount',
  'api.networking.v1.NetworkPolicy', 'api.policy.v1.PodDisruptionBudget',
  'api.rbac.v1.ClusterRole', 'api.rbac.v1.ClusterRoleBinding', 'api.rbac.v1.Role', 'api.rbac.v1.RoleBinding',
].map((name) => `io.k8s.${name}`);

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type Definitions = Record<string, Json>;
/** `#/definitions/NAME` in the JSON of a schema. */
const REFERENCE = /"#\/definitions\/([^"]+)"/g;
const AMOUNT_OR_PORT = { type: ['string', 'integer'] };

async function main(): Promise<void> {
  mkdirSync(OPENAPI_FOLDER, { recursive: true });
  for (const version of OLDER_VERSIONS) {
    const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', `k8s.io/kubernetes@${version}`]);
    const { Dir } = JSON.parse(stdout) as { Dir: string };
    const { definitions } = JSON.parse(readFileSync(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')) as { definitions: Definitions };
    writeFileSync(join(OPENAPI_FOLDER, `${version}.json`), `${JSON.stringify({ definitions: needed(definitions) })}\n`);
  }
}

/** Our kinds and all that they are made of, without texts, and as strict as the API server with `fieldValidation=Strict`. */
function needed(definitions: Definitions): Definitions {
  const kept: Definitions = {};
  const queue = [...KINDS];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (Object.hasOwn(kept, name)) continue;
    const strict = tighten(definitions[name] ?? {});
    kept[name] = strict;
    queue.push(...[...JSON.stringify(strict).matchAll(REFERENCE)].map(([, reference]) => reference ?? ''));
  }
  return Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function tighten(schema: Json): Json {
  if (Array.isArray(schema) || typeof schema !== 'object' || schema === null) return schema;
  if (schema['format'] === 'int-or-string') return AMOUNT_OR_PORT;
  const entries = Object.entries(schema).filter(([key, value]) => !(key === 'description' && typeof value === 'string') && key !== 'format' && !key.startsWith('x-'));
  const out: { [key: string]: Json } = Object.fromEntries(entries.map(([key, value]) => [key, key === 'properties' ? each(value) : key === 'items' || key === 'additionalProperties' ? tighten(value) : value]));
  if (out['properties'] !== undefined) out['additionalProperties'] = false;
  return out;
}

function each(properties: Json): Json {
  return Object.fromEntries(Object.entries(properties as { [key: string]: Json }).map(([name, value]) => [name, tighten(value)]));
}

if (import.meta.main) await main();
