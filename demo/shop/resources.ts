import { API_VERSION, parseResource, type Resource } from '@sallyport/shared/resources';
import { addressOf, appSocket, outboundSocket, type Place, tcpSocket } from './place.ts';
import { type Call, callsOf, foreignWorkloads, type ShopWorkload, type Target, type Topology, workloadOf } from './topology.ts';

/** Who may call whom from the start; everything that is not named here is open, for the wizard to close. */
const GUARDED: readonly { readonly target: Target; readonly callers: readonly string[] }[] = [
  { target: { namespace: 'payments', name: 'payment' }, callers: ['orders/checkout'] },
  { target: { namespace: 'payments', name: 'fraud' }, callers: ['payments/payment'] },
  { target: { namespace: 'platform', name: 'cartstore' }, callers: ['orders/cart'] },
  { target: { namespace: 'platform', name: 'inventory' }, callers: ['catalog/productcatalog'] },
  { target: { namespace: 'platform', name: 'reporting' }, callers: ['orders/checkout'] },
];

/** Whom of the partner's each side lets in. The courier is in no list, and so the payments refuse it. */
const GUESTS: readonly { readonly target: Target; readonly callers: readonly string[] }[] = [
  { target: { namespace: 'platform', name: 'reporting' }, callers: ['delivery/carrier'] },
  { target: { namespace: 'delivery', name: 'carrier' }, callers: ['orders/shipping'] },
];

/** Every resource of the sample shop, in an order in which each refers only to earlier ones. */
export function shopResources(topology: Topology, place: Place): Resource[] {
  return [mesh(topology), ...permissive(topology), ...shopWorkloads(topology, place), ...services(topology.workloads), ...policies(topology), ...expected(topology)];
}

/** What a side has when it federates: a mesh that may ask the other operator, the services over there, and who may come. */
export function federationResources(topology: Topology): Resource[] {
  return [mesh(topology), ...services(foreignWorkloads(topology)), ...guests(topology), ...expected(topology)];
}

/** The federation itself. It changes when the partner's operator moves to another port. */
export function federatedTrustDomain({ partner }: Topology, { url, bundle }: { readonly url: string; readonly bundle: string }): Resource {
  if (partner === null) throw new Error('there is no partner to federate with');
  const { trustDomain } = partner;
  return parseResource({
    apiVersion: API_VERSION,
    kind: 'FederatedTrustDomain',
    metadata: { name: trustDomain.replaceAll('.', '-') },
    spec: {
      trustDomain,
      bundleEndpointURL: url,
      bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: `spiffe://${trustDomain}/sallyport/operator` },
      trustDomainBundle: bundle,
    },
  });
}

/** The part that says where things are: it changes when the demo moves to other sockets or addresses. */
export function shopWorkloads(topology: Topology, place: Place): Resource[] {
  return [...topology.workloads.map((workload) => workloadResource(topology, workload, place)), ...foreignWorkloads(topology).map((workload) => foreignResource(topology, workload, place))];
}

function mesh(topology: Topology): Resource {
  return parseResource({
    apiVersion: API_VERSION,
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: {
      trustDomain: topology.trustDomain,
      rootNamespace: 'sallyport-system',
      // Minutes instead of a day, so that a rotation can be watched.
      certificates: { leafLifetime: '4m' },
      strict: { window: '90s', watch: '15s', minimumCoverage: 0.95 },
      // The other operator is on this machine, too.
      ...(topology.partner === null ? {} : { jwks: { allowedHosts: ['127.0.0.1'] } }),
    },
  });
}

function namespacesOf(topology: Topology): string[] {
  return [...new Set(topology.workloads.map((workload) => workload.namespace))];
}

function permissive(topology: Topology): Resource[] {
  return namespacesOf(topology).map((namespace) => ({
    apiVersion: API_VERSION,
    kind: 'PeerAuthentication' as const,
    metadata: { name: 'default', namespace },
    spec: { mtls: { mode: 'PERMISSIVE' as const } },
  }));
}

function workloadResource(topology: Topology, workload: ShopWorkload, place: Place): Resource {
  const inbound = workload.port === null ? [] : [{ port: workload.port, protocol: workload.protocol, app: `unix:${appSocket(place, workload.name)}` }];
  return {
    apiVersion: API_VERSION,
    kind: 'Workload',
    metadata: { name: workload.name, namespace: workload.namespace, labels: { app: workload.name } },
    spec: {
      serviceAccount: workload.name,
      ...(workload.proxy === null ? {} : { proxy: workload.proxy }),
      address: addressOf(topology, workload, place),
      inbound,
      outbound: [{ protocol: 'http', listen: `unix:${outboundSocket(place, workload.name)}` }, ...tcpOutbound(topology, workload, place)],
    },
  };
}

/** A workload of the partner: known by its identity and address, and served by a proxy that is not ours. */
function foreignResource(topology: Topology, workload: ShopWorkload, place: Place): Resource {
  return {
    apiVersion: API_VERSION,
    kind: 'Workload',
    metadata: { name: workload.name, namespace: workload.namespace, labels: { app: workload.name } },
    spec: {
      serviceAccount: workload.name,
      spiffeId: `spiffe://${principal(topology, `${workload.namespace}/${workload.name}`)}`,
      address: addressOf(topology, workload, place),
      inbound: [],
      outbound: [],
    },
  };
}

/** One listener for each TCP service that it calls; the rogue workload tries them all. */
function tcpOutbound(topology: Topology, workload: ShopWorkload, place: Place) {
  const targets = workload.name === 'rogue' ? topology.workloads.filter((item) => item.protocol === 'tcp') : tcpTargets(topology, workload);
  return targets.map((target) => ({
    protocol: 'tcp' as const,
    listen: `unix:${tcpSocket(place, workload.name, target)}`,
    service: target.name,
    namespace: target.namespace,
    port: portOf(target),
  }));
}

function tcpTargets(topology: Topology, workload: ShopWorkload): ShopWorkload[] {
  const calls = callsOf(workload).filter((call) => call.method === null);
  return [...new Set(calls.map((call) => workloadOf(topology, call.to)))];
}

function portOf(workload: ShopWorkload): number {
  if (workload.port === null) throw new Error(`${workload.name} has no port`);
  return workload.port;
}

function services(workloads: readonly ShopWorkload[]): Resource[] {
  return workloads
    .filter((workload) => workload.port !== null)
    .map((workload) => ({
      apiVersion: API_VERSION,
      kind: 'Service' as const,
      metadata: { name: workload.name, namespace: workload.namespace },
      spec: { selector: { app: workload.name }, ports: [{ port: portOf(workload), protocol: workload.protocol }] },
    }));
}

function policies(topology: Topology): Resource[] {
  return GUARDED.filter(({ target }) => isHome(topology, target)).map(({ target, callers }) => allow(topology, `${target.name}-callers`, target, callers));
}

function guests(topology: Topology): Resource[] {
  return GUESTS.filter(({ target }) => isHome(topology, target)).map(({ target, callers }) => allow(topology, `${target.name}-guests`, target, callers));
}

function isHome(topology: Topology, target: Target): boolean {
  return topology.workloads.some((workload) => workload.name === target.name && workload.namespace === target.namespace);
}

function allow(topology: Topology, name: string, target: Target, callers: readonly string[]): Resource {
  return {
    apiVersion: API_VERSION,
    kind: 'AuthorizationPolicy' as const,
    metadata: { name, namespace: target.namespace },
    spec: {
      selector: { matchLabels: { app: workloadOf(topology, target).name } },
      action: 'ALLOW' as const,
      enforcement: 'Enforce' as const,
      rules: [{ from: [{ source: { principals: callers.map((caller) => principal(topology, caller)) } }] }],
    },
  };
}

/** A principal as Istio writes it: the SPIFFE ID without its scheme. */
function principal(topology: Topology, caller: string): string {
  const [namespace = '', account = ''] = caller.split('/');
  const home = isHome(topology, { namespace, name: account }) ? topology : (topology.partner ?? topology);
  return `${home.trustDomain}/ns/${namespace}/sa/${account}`;
}

/** One ExpectedGraph for each namespace: the calls that its own workloads are meant to make. */
function expected(topology: Topology): Resource[] {
  const callers = [...topology.workloads, ...foreignWorkloads(topology)];
  // What the partner does at home is no business of ours.
  const ours = (...ends: ShopWorkload[]) => ends.some((workload) => topology.workloads.includes(workload));
  return [...new Set(callers.map((workload) => workload.namespace))].flatMap((namespace) => {
    const edges = callers
      .filter((workload) => workload.namespace === namespace)
      .flatMap((workload) => declaredTargets(topology, workload).filter((target) => ours(workload, target)).map((target) => edge(workload, target)));
    if (edges.length === 0) return [];
    return [{ apiVersion: API_VERSION, kind: 'ExpectedGraph' as const, metadata: { name: 'boutique', namespace }, spec: { edges } }];
  });
}

function declaredTargets(topology: Topology, workload: ShopWorkload): ShopWorkload[] {
  const used = callsOf(workload).filter((call: Call) => call.declared).map((call) => workloadOf(topology, call.to));
  const unused = topology.declaredOnly
    .filter(({ from }) => from.name === workload.name && from.namespace === workload.namespace)
    .map(({ to }) => workloadOf(topology, to));
  return [...new Set([...used, ...unused])];
}

function edge(from: ShopWorkload, to: ShopWorkload) {
  return {
    from: { serviceAccount: from.name },
    to: { namespace: to.namespace, service: to.name, port: portOf(to) },
  };
}
