import { z } from 'zod';
import { PORT_PROTOCOLS } from '../mesh/index.ts';
import { authorizationPolicySpec } from './authorization-policy.ts';
import { atMost, checked } from './checks.ts';
import { ipAddress, PORT_PATTERN, portText } from './match.ts';
import { federatedTrustDomainSpec } from './federated-trust-domain.ts';
import { meshSpec, unknownDestinations } from './mesh-spec.ts';
import { API_VERSION, dnsLabel, dnsSubdomain, objectMeta, port, proxyName, selectorLabels, status, workloadSelector } from './meta.ts';
import { requestAuthenticationSpec } from './request-authentication.ts';
import { trafficPolicySpec } from './traffic-policy.ts';

const protocol = z.enum(PORT_PROTOCOLS);
const SPOKEN = '`http`: HTTP/1.1. `http2`, `grpc`: HTTP/2 without TLS. Callers of these may speak either version. `tcp`: bytes, and what the server says first. `tls`: the application’s own TLS, passed through. `auto`: told by the first bytes of each connection, and TCP when none come.';
/** Where a proxy finds or offers a local application: a Unix socket or a loopback address. */
const localEndpoint = z
  .string()
  .max(200)
  .regex(
    /^(unix:\/[^\0]+|(127(\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5})$/,
    'must be unix:/absolute/path or a loopback host:port; an application behind the proxy may not listen elsewhere',
  );

const listen = localEndpoint.describe('Where the proxy takes the workload’s calls: `unix:/path` or a loopback `host:port`.');

/** Istio's and Envoy's locality: what `localityLbSetting` of a TrafficPolicy compares. */
export const locality = z.strictObject({
  region: dnsLabel.describe('Region, such as `eu-west`.'),
  zone: dnsLabel.optional().describe('Zone within the region.'),
}).describe('Where it runs. Traffic policies may prefer endpoints that are near.');

/** Where a workload's proxy takes HBONE unless it says otherwise: Istio's port. */
export const HBONE_PORT = 15_008;
/** Where a proxy takes redirected connections unless it is told otherwise: Istio's ports. */
export const INTERCEPTION_PORTS = { inbound: 15_006, outbound: 15_001 } as const;

const interception = z.strictObject({
  inbound: port.default(INTERCEPTION_PORTS.inbound).describe('Port of the proxy to which connections of peers are redirected.'),
  outbound: port.default(INTERCEPTION_PORTS.outbound).describe('Port of the proxy, on loopback, to which the workload’s own connections are redirected.'),
  unknownDestinations: unknownDestinations.optional().describe('What becomes of its connections to addresses that the mesh does not know, where that is not what the Mesh says in `egress`.'),
}).describe('The workload’s connections are redirected to its proxy by rules in its network namespace (`sallyport-redirect`), where it is alone. `inbound` then says what ports speak, and the proxy listens on none of them itself; ports that it does not name are served as `auto`. Without the rules nothing is accepted.');

/** A user or group ID; 65534 stands for those that the kernel cannot name. */
const systemId = z.int().min(0).max(4_294_967_294).refine((id) => id !== 65_534, 'must not be 65534, which stands for any unknown user').meta({ cel: [{ rule: 'self != 65534', message: 'must not be 65534, which stands for any unknown user' }] });

export const workloadSpec = checked(z.strictObject({
  serviceAccount: dnsSubdomain.describe('Service account of the workload: the last part of its identity.'),
  proxy: proxyName.optional().describe('Name of the proxy that serves this workload. Absent: known, but outside the mesh.'),
  address: ipAddress.describe('The address at which peers reach it.'),
  otherAddresses: z.array(ipAddress).max(8).optional().describe('Further addresses of its network namespace, such as that of the other IP family: workloads that are redirected reach it by these too.'),
  locality: locality.optional(),
  inbound: z
    .array(z.strictObject({
      port: port.describe('Port at which peers reach it.'),
      protocol: protocol.describe(`What the application speaks on it. ${SPOKEN} Methods, paths and tokens are known for HTTP and gRPC alone.`),
      app: localEndpoint.optional().describe('Where the application listens: `unix:/path` or a loopback `host:port`. Absent, which only interception allows: at the address that was called.'),
    }))
    .max(64)
    .default([])
    .describe('Ports that the proxy serves.'),
  outbound: z
    .array(
      z.discriminatedUnion('protocol', [
        z.strictObject({ protocol: z.literal('http').describe('`http`: HTTP/1.1 or HTTP/2, routed by host. `tcp`: goes to one service.'), listen }),
        z.strictObject({
          protocol: z.literal('tcp'),
          listen,
          service: dnsLabel.describe('With `tcp`: name of the service.'),
          namespace: dnsLabel.describe('With `tcp`: namespace of the service.'),
          port: port.describe('With `tcp`: port of the service.'),
        }),
      ]),
    )
    .max(64)
    .default([])
    .describe('Where the workload’s own calls enter its proxy.'),
  hbonePort: z.int().min(0).max(65_535).optional()
    .describe('Port of its address at which its proxy takes HBONE from other proxies. Absent: 15008. 0: none; then, as where the port is taken, calls come by mutual TLS on its own ports. Workloads that share an address need different ones.'),
  interception: interception.optional(),
  spiffeId: z.string().min(1).max(2048).regex(/^spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+$/, 'must be the SPIFFE ID of a workload').optional().describe('Full identity of a workload of a federated trust domain, which is called by mutual TLS though no proxy of ours serves it.'),
  workloadApi: z
    .strictObject({
      uids: z.array(systemId).min(1).max(64).describe('User IDs of the application’s processes. 0 is root, which can become any other user.'),
      gids: z.array(systemId).min(1).max(64).optional().describe('Group IDs, one of which the process must have as its own; absent: any.'),
    })
    .optional()
    .describe('Who gets this identity from the SPIFFE Workload API of its proxy, by what the kernel says of the calling process. Absent: nobody.'),
}), {
  test: ({ proxy, interception, inbound }) => proxy === undefined || interception !== undefined || inbound.every(({ app }) => app !== undefined),
  cel: '!has(self.proxy) || has(self.interception) || !has(self.inbound) || self.inbound.all(port, has(port.app))',
  field: 'inbound',
  message: 'each port needs app, since without interception the proxy has the port itself',
}, {
  test: ({ spiffeId, proxy }) => spiffeId === undefined || proxy === undefined,
  cel: '!(has(self.spiffeId) && has(self.proxy))',
  field: 'spiffeId',
  message: 'is for workloads of other trust domains; a proxy of ours serves our own alone',
}).describe('One running application with its identity, its address and its ports.');

export const serviceSpec = z.strictObject({
  selector: selectorLabels.describe('Labels of the workloads that it leads to.'),
  ports: z
    .array(z.strictObject({
      name: dnsLabel.optional().describe('Name of the port.'),
      port: port.describe('Port that clients use.'),
      targetPort: port.optional().describe('Port of the workload; absent: the same.'),
      protocol: protocol.default('http').describe(`What is spoken on it. ${SPOKEN}`),
    }))
    .min(1)
    .max(64)
    .describe('Ports of the service.'),
  addresses: z.array(ipAddress).max(16).optional().describe('Addresses of the service itself, such as cluster IPs: where interception is, calls to them are calls to the service.'),
  endpoints: z
    .array(z.strictObject({
      workload: dnsLabel.describe('Name of a workload of its namespace.'),
      address: ipAddress.optional().describe('Another address of the workload; absent: its own.'),
      ports: z.array(z.strictObject({ port: port.describe('Port of the service.'), targetPort: port.describe('Port of the workload.') })).max(64).describe('Ports that it serves.'),
    }))
    .max(5_000)
    .optional()
    .describe('Where calls go. Absent: to each selected workload. In Kubernetes mode, the pods that are ready.'),
}).describe('A name for workloads of its namespace, as callers use it.');

const mtlsMode = z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);
const MODE = '`STRICT`: mutual TLS only. `PERMISSIVE`: plaintext too. `DISABLE`: plaintext only. `UNSET`: as the wider scope says.';

/** Istio v1 `PeerAuthentication.spec` by name and meaning. */
export const peerAuthenticationSpec = z.strictObject({
  selector: workloadSelector.optional(),
  mtls: z.strictObject({ mode: mtlsMode.describe(MODE) }).optional().describe('Mode of all ports. Workload beats namespace beats mesh; the oldest wins within a scope. Without any: PERMISSIVE.'),
  portLevelMtls: atMost(z.record(portText, z.strictObject({ mode: mtlsMode.describe(MODE) })), 64)
    .meta({ cel: [{ rule: `self.all(port, port.matches('${PORT_PATTERN}'))`, message: 'each key must be a port number' }] })
    .optional()
    .describe('Mode of single ports of the workload. Needs a selector.'),
}).describe('Whether a workload takes plaintext: Istio’s `PeerAuthentication` by name and meaning.');

const edgeEnd = { namespace: dnsLabel.optional().describe('Namespace; absent: that of this object.') };

export const expectedGraphSpec = z.strictObject({
  edges: z
    .array(
      z.strictObject({
        from: z.strictObject({ ...edgeEnd, serviceAccount: dnsSubdomain.describe('Service account of the caller.') }).describe('Who calls.'),
        to: z.strictObject({ ...edgeEnd, service: dnsLabel.describe('Service that is called.'), port: port.optional().describe('Its port; absent: any.') }).describe('Who is called.'),
        description: z.string().max(256).optional().describe('Why this call is expected.'),
      }),
    )
    .max(5000)
    .describe('Calls that are expected.'),
}).describe('The calls that somebody expects; the console shows what is missing and what is more.');

function resource<K extends string, S extends z.ZodType>(kind: K, spec: S) {
  return z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata: objectMeta,
    spec,
    status: status.optional(),
  });
}

export const mesh = resource('Mesh', meshSpec);
export const workload = resource('Workload', workloadSpec);
export const service = resource('Service', serviceSpec);
export const peerAuthentication = resource('PeerAuthentication', peerAuthenticationSpec);
export const authorizationPolicy = resource('AuthorizationPolicy', authorizationPolicySpec);
export const requestAuthentication = resource('RequestAuthentication', requestAuthenticationSpec);
export const trafficPolicy = resource('TrafficPolicy', trafficPolicySpec);
export const expectedGraph = resource('ExpectedGraph', expectedGraphSpec);
export const federatedTrustDomain = resource('FederatedTrustDomain', federatedTrustDomainSpec);

export type Mesh = z.infer<typeof mesh>;
export type Workload = z.infer<typeof workload>;
export type Service = z.infer<typeof service>;
export type PeerAuthentication = z.infer<typeof peerAuthentication>;
export type AuthorizationPolicy = z.infer<typeof authorizationPolicy>;
export type RequestAuthentication = z.infer<typeof requestAuthentication>;
export type TrafficPolicy = z.infer<typeof trafficPolicy>;
export type ExpectedGraph = z.infer<typeof expectedGraph>;
export type FederatedTrustDomain = z.infer<typeof federatedTrustDomain>;
export type MtlsMode = z.infer<typeof mtlsMode>;

/** Every kind with its schema, plural, short name and scope: the one table that the store, the API and the CRDs read. */
export const KINDS = {
  Mesh: { schema: mesh, plural: 'meshes', short: 'mesh', namespaced: false },
  Workload: { schema: workload, plural: 'workloads', short: 'wl', namespaced: true },
  Service: { schema: service, plural: 'services', short: 'spsvc', namespaced: true },
  PeerAuthentication: { schema: peerAuthentication, plural: 'peerauthentications', short: 'pa', namespaced: true },
  AuthorizationPolicy: { schema: authorizationPolicy, plural: 'authorizationpolicies', short: 'ap', namespaced: true },
  RequestAuthentication: { schema: requestAuthentication, plural: 'requestauthentications', short: 'ra', namespaced: true },
  TrafficPolicy: { schema: trafficPolicy, plural: 'trafficpolicies', short: 'tp', namespaced: true },
  ExpectedGraph: { schema: expectedGraph, plural: 'expectedgraphs', short: 'eg', namespaced: true },
  FederatedTrustDomain: { schema: federatedTrustDomain, plural: 'federatedtrustdomains', short: 'ftd', namespaced: false },
} as const;

export type Kind = keyof typeof KINDS;
export type ResourceOf<K extends Kind> = z.infer<(typeof KINDS)[K]['schema']>;
export type Resource = { [K in Kind]: ResourceOf<K> }[Kind];
