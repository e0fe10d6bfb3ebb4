import { createHash } from 'node:crypto';
import { canonicalJson, selects } from '@sallyport/shared/mesh';
import type { JwtAuthority, SpiffeBundle } from '@sallyport/shared/pki';
import { attaches, type PolicyTarget } from '@sallyport/shared/policy';
import { type ConfigEntry, keySourceOf, type PublicJwk } from '@sallyport/shared/push';
import { type AuthorizationPolicy, type Mesh, type PeerAuthentication, type RequestAuthentication, type Resource, type Service, type TrafficPolicy, type Workload } from '@sallyport/shared/resources';
import { policyTargetOf } from '../observe/mesh-state.ts';
import { serviceConfig, servicesAt, spiffeIdOf } from './service-config.ts';
import { trafficEntries } from './traffic.ts';

/** Everything that configuration is made from. */
export interface World {
  readonly mesh: Mesh;
  readonly trustDomain: string;
  readonly roots: readonly string[];
  /** Sequence number of the bundle that `roots` are. */
  readonly bundleSequence: number;
  readonly jwtKeys: readonly JwtAuthority[];
  /** Bundles of other trust domains that we believe, by their names. */
  readonly federated: ReadonlyMap<string, Pick<SpiffeBundle, 'roots' | 'jwtKeys'>>;
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly trafficPolicies: readonly TrafficPolicy[];
  /** Known keys by their source (`keySourceOf`). */
  readonly keys: ReadonlyMap<string, readonly PublicJwk[]>;
}

export interface NamedEntry {
  readonly name: string;
  readonly hash: string;
  readonly entry: ConfigEntry;
}

/** The complete configuration of one proxy, by entry name. Pure: equal worlds give equal hashes. */
export function snapshotFor(proxy: string, world: World): Map<string, NamedEntry> {
  const served = world.workloads.filter((workload) => workload.spec.proxy === proxy);
  const entries: [string, ConfigEntry][] = [
    ['mesh', { type: 'mesh', value: bare(world.mesh) }],
    ['bundle', ownBundle(world)],
    ...[...world.federated].map(([name, bundle]): [string, ConfigEntry] => [`federation/${name}`, { type: 'federation', value: bundleOf(name, bundle) }]),
    ...served.map((workload): [string, ConfigEntry] => [`workload/${idOf(workload)}`, workloadEntry(workload, world)]),
    ...world.services.map((service): [string, ConfigEntry] => [`service/${idOf(service)}`, { type: 'service', value: serviceConfig(service, world.workloads, world.trustDomain) }]),
    ...trafficEntries(world.trafficPolicies, world.services, bare),
    ...policiesFor(served, world),
  ];
  return new Map(entries.map(([name, entry]) => [name, { name, entry, hash: hashOf(entry) }]));
}

/** The sequence number is our own bundle's alone: it is what proxies acknowledge. */
function ownBundle(world: World): ConfigEntry {
  return { type: 'bundle', value: { ...bundleOf(world.trustDomain, world), sequence: world.bundleSequence } };
}

/** Hash of the trust bundle's entry, which is the same for every proxy. */
export function bundleHash(world: World): string {
  return hashOf(ownBundle(world));
}

function bundleOf(trustDomain: string, { roots, jwtKeys }: Pick<SpiffeBundle, 'roots' | 'jwtKeys'>) {
  return { trustDomain, roots: [...roots], jwtKeys: jwtKeys.map(({ kid, jwk }) => ({ kid, jwk: { ...jwk } })) };
}

/** Names of the entries that carry policies, for those workloads on which they bear. */
function policiesFor(served: readonly Workload[], world: World): [string, ConfigEntry][] {
  const mesh = world.mesh.spec;
  const targets = served.map(({ metadata }) => policyTargetOf({ namespace: metadata.namespace ?? '', labels: metadata.labels ?? {} }, world.services));
  const bears = (policy: AuthorizationPolicy | RequestAuthentication) => targets.some((workload) => attaches(policy, { mesh, workload }));
  const authentications = world.requestAuthentications.filter(bears);
  return [
    ...world.authorizationPolicies.filter(bears).map((policy): [string, ConfigEntry] => [`authz/${idOf(policy)}`, { type: 'authz', value: bare(policy) }]),
    ...world.peerAuthentications
      .filter((policy) => targets.some((workload) => peerBears(policy, mesh.rootNamespace, workload)))
      .map((policy): [string, ConfigEntry] => [`peer/${idOf(policy)}`, { type: 'peer', value: bare(policy) }]),
    ...authentications.map((policy): [string, ConfigEntry] => [`authn/${idOf(policy)}`, { type: 'authn', value: bare(policy) }]),
    ...keysFor(authentications, world),
  ];
}

function peerBears({ metadata, spec }: PeerAuthentication, root: string, { namespace, labels }: PolicyTarget): boolean {
  return (metadata.namespace === root || metadata.namespace === namespace) && selects(spec.selector?.matchLabels, labels);
}

/** Keys that are not known yet have no entry, and the proxy then takes no token of their issuer. */
function keysFor(authentications: readonly RequestAuthentication[], { keys }: World): [string, ConfigEntry][] {
  const sources = new Set(authentications.flatMap((policy) => policy.spec.jwtRules.flatMap((rule) => keySourceOf(rule) ?? [])));
  return [...sources].flatMap((source): [string, ConfigEntry][] => {
    const known = keys.get(source);
    return known === undefined ? [] : [[keyEntryName(source), { type: 'jwks', value: { source, keys: [...known] } }]];
  });
}

/** Name of the entry that carries the keys of a source. */
function keyEntryName(source: string): string {
  return `jwks/${createHash('sha256').update(source).digest('hex')}`;
}

function workloadEntry(workload: Workload, world: World): ConfigEntry {
  const services = servicesAt(workload, world.services);
  return { type: 'workload', value: { resource: bare(workload), spiffeId: spiffeIdOf(workload, world.trustDomain), services } };
}

function idOf(object: Resource): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

/**
 * The object without what does not bear on a proxy. Status and revision must stay out: an ACK writes status, and a
 * snapshot that held it would change with every ACK, for ever.
 */
function bare<R extends Resource>(object: R): R {
  const { name, namespace, labels, generation, creationTimestamp } = object.metadata;
  const metadata = { name, namespace, labels, generation, creationTimestamp };
  return JSON.parse(JSON.stringify({ apiVersion: object.apiVersion, kind: object.kind, metadata, spec: object.spec })) as R;
}

function hashOf(entry: ConfigEntry): string {
  return createHash('sha256').update(canonicalJson(entry)).digest('hex');
}
