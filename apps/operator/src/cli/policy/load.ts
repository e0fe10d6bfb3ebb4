import { type PolicySet, type Universe } from '@sallyport/shared/analysis';
import { flowsView, recordedFlow, resourceList } from '@sallyport/shared/api';
import type { Flow, MeshWorkload } from '@sallyport/shared/mesh';
import { API_VERSION, formatProblem, InvalidResourceError, type Kind, KINDS, MAX_MANIFEST_BYTES, mesh as meshSchema, type MeshSpec, parseManifest, type Resource } from '@sallyport/shared/resources';
import { z } from 'zod';
import { meshStateFrom } from '../../observe/mesh-state.ts';
import type { ApiClient } from '../client.ts';
import { query } from '../command.ts';
import { asResource } from '../commands/resources.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { filesOf, nameOf, readText } from '../files.ts';
import { coverageNote, note } from '../output.ts';

/** What an analysis is about. */
export interface Material {
  readonly resources: readonly Resource[];
  readonly policies: PolicySet;
  readonly universe: Universe;
}

/** Kinds that an analysis reads. */
const READ: readonly Kind[] = ['Mesh', 'Workload', 'Service', 'AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'];

/** Reads manifests from files and directories. @throws CliFailure naming the file and field */
export async function readResources(paths: readonly string[]): Promise<Resource[]> {
  const resources: Resource[] = [];
  for (const file of paths.flatMap((path) => filesOf(path, MAX_MANIFEST_BYTES))) {
    try {
      resources.push(...parseManifest(await readText(file)));
    } catch (error) {
      if (!(error instanceof InvalidResourceError)) throw error;
      throw new CliFailure(EXIT.usage, error.problems.slice(0, 20).map((problem) => `${nameOf(file)}: ${formatProblem(problem)}`).join('\n'), 'correct the named fields');
    }
  }
  if (resources.length === 0) throw new CliFailure(EXIT.usage, `${paths.join(', ')}: no resource is in there`);
  return resources;
}

/** Everything that is stored. */
export async function storedResources(client: ApiClient): Promise<Resource[]> {
  const lists = await Promise.all(READ.map((kind) => client.get(`/resources/${KINDS[kind].plural}`, resourceList)));
  return lists.flatMap(({ items }) => items.map(asResource));
}

/** @param beside resources that only tell which workloads there are, such as those of the other side of a comparison */
export function materialOf(resources: readonly Resource[], beside: readonly Resource[] = []): Material {
  const mesh = meshOf(resources.some(({ kind }) => kind === 'Mesh') ? resources : beside);
  const of = <K extends Kind>(kind: K, from: readonly Resource[] = resources) => latest(from.filter((object): object is Extract<Resource, { kind: K }> => object.kind === kind));
  const all = [...beside, ...resources];
  const state = meshStateFrom({ workloads: of('Workload', all), services: of('Service', all), expected: [] }, mesh.trustDomain);
  const policies: PolicySet = { mesh, authorizationPolicies: of('AuthorizationPolicy'), peerAuthentications: of('PeerAuthentication'), requestAuthentications: of('RequestAuthentication') };
  const workloads = state.workloads.length > 0 ? state.workloads : madeUp(of('AuthorizationPolicy', all), of('PeerAuthentication', all), mesh);
  return { resources, policies, universe: { workloads, services: state.services } };
}

function meshOf(resources: readonly Resource[]): MeshSpec {
  const found = resources.findLast((object) => object.kind === 'Mesh');
  if (found) return found.spec;
  note('sallyport: no Mesh is given; taking trust domain cluster.local and the defaults');
  return meshSchema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'cluster.local' } }).spec;
}

/** The last object of each name: as if they were applied one after the other. */
function latest<R extends Resource>(objects: readonly R[]): R[] {
  return [...new Map(objects.map((object) => [`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object])).values()];
}

/** With no Workload at hand: one for every selector, and one for every namespace. */
function madeUp(policies: readonly Extract<Resource, { kind: 'AuthorizationPolicy' }>[], peers: readonly Extract<Resource, { kind: 'PeerAuthentication' }>[], mesh: MeshSpec): MeshWorkload[] {
  note('sallyport: no Workload is given; taking one made-up workload for each selector and one for each namespace, with any port');
  const namespaces = new Set([...policies, ...peers].map(({ metadata }) => metadata.namespace ?? '').filter((namespace) => namespace !== mesh.rootNamespace));
  if (namespaces.size === 0) namespaces.add('default');
  const labels = [...policies, ...peers].map(({ metadata, spec }) => ({ namespace: metadata.namespace, labels: spec.selector?.matchLabels ?? {} }));
  return [...namespaces].flatMap((namespace) => {
    const own = labels.filter((each) => each.namespace === namespace || each.namespace === mesh.rootNamespace).map((each) => JSON.stringify(Object.entries(each.labels).sort(([a], [b]) => (a < b ? -1 : 1))));
    return [...new Set(['[]', ...own])].map((text): MeshWorkload => {
      const entries = JSON.parse(text) as [string, string][];
      const name = entries.length === 0 ? '(any)' : entries.map(([key, value]) => `${key}=${value}`).join(',');
      return { namespace, name, labels: Object.fromEntries(entries), serviceAccount: 'any', spiffeId: `spiffe://${mesh.trustDomain}/ns/${namespace}/sa/any`, address: '10.0.0.9', proxy: 'any', ports: [] };
    });
  });
}

const flowFile = z.union([z.array(recordedFlow), z.object({ items: z.array(recordedFlow) }).transform(({ items }) => items)]);

/** Recorded flows: of a file as `GET /api/v1/flows` answers, or of the store. */
export async function readFlows(file: string | undefined, client: () => ApiClient, options: { readonly window: string; readonly namespace?: string | undefined }): Promise<Flow[]> {
  if (file !== undefined) return flowsOfFile(file);
  const view = await client().get(`/flows${query({ window: options.window, namespace: options.namespace })}`, flowsView);
  note(`${view.window.from} to ${view.window.to}: ${coverageNote(view.coverage)}`);
  if (view.total > view.items.length) note(`sallyport: only the ${view.items.length} most frequent of ${view.total} kinds of call were read`);
  return view.items;
}

async function flowsOfFile(file: string): Promise<Flow[]> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CliFailure(EXIT.usage, `${nameOf(file)}: is not JSON`, 'give what GET /api/v1/flows answers');
  }
  const result = flowFile.safeParse(value);
  if (result.success) return result.data;
  throw new CliFailure(EXIT.usage, `${nameOf(file)}: holds something that is no recorded flow: ${z.prettifyError(result.error).split('\n')[0] ?? ''}`, 'give what GET /api/v1/flows answers');
}
