import { z } from 'zod';
import { API_VERSION, dnsLabel, objectMeta, port, status, workloadSelector } from './meta.ts';
import { authorizationPolicySpec } from './authorization-policy.ts';
import { isPort } from './match.ts';
import { meshSpec } from './mesh-spec.ts';
import { requestAuthenticationSpec } from './request-authentication.ts';

const protocol = z.enum(['http', 'tcp']);

/** Where a proxy finds or offers a local application: a Unix socket or a loopback address. */
const localEndpoint = z
  .string()
  .max(200)
  .regex(
    /^(unix:\/[^\0]+|(127(\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5})$/,
    'must be unix:/absolute/path or a loopback host:port; an application behind the proxy may not listen elsewhere',
  );

export const workloadSpec = z.strictObject({
  serviceAccount: dnsLabel,
  /** Name of the proxy that serves this workload. Absent: known, but outside the mesh. */
  proxy: dnsLabel.optional(),
  /** The address at which peers reach it. */
  address: z.union([z.ipv4(), z.ipv6()]),
  inbound: z.array(z.strictObject({ port, protocol, app: localEndpoint })).max(64).default([]),
  /** Where the workload's own calls enter its proxy: HTTP is routed by Host, TCP goes to one named service. */
  outbound: z
    .array(
      z.discriminatedUnion('protocol', [
        z.strictObject({ protocol: z.literal('http'), listen: localEndpoint }),
        z.strictObject({ protocol: z.literal('tcp'), listen: localEndpoint, service: dnsLabel, namespace: dnsLabel, port }),
      ]),
    )
    .max(64)
    .default([]),
});

export const serviceSpec = z.strictObject({
  selector: z.record(z.string().max(317), z.string().max(63)),
  ports: z
    .array(z.strictObject({ name: dnsLabel.optional(), port, targetPort: port.optional(), protocol: protocol.default('http') }))
    .min(1)
    .max(64),
});

const mtlsMode = z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);

export const peerAuthenticationSpec = z.strictObject({
  selector: workloadSelector.optional(),
  mtls: z.strictObject({ mode: mtlsMode }).optional(),
  portLevelMtls: z
    .record(z.string().refine(isPort, 'must be a port number'), z.strictObject({ mode: mtlsMode }))
    .optional(),
});

export const expectedGraphSpec = z.strictObject({
  edges: z
    .array(
      z.strictObject({
        from: z.strictObject({ namespace: dnsLabel.optional(), serviceAccount: dnsLabel }),
        to: z.strictObject({ namespace: dnsLabel.optional(), service: dnsLabel, port: port.optional() }),
        description: z.string().max(256).optional(),
      }),
    )
    .max(5000),
});

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
export const expectedGraph = resource('ExpectedGraph', expectedGraphSpec);

export type Mesh = z.infer<typeof mesh>;
export type Workload = z.infer<typeof workload>;
export type Service = z.infer<typeof service>;
export type PeerAuthentication = z.infer<typeof peerAuthentication>;
export type AuthorizationPolicy = z.infer<typeof authorizationPolicy>;
export type RequestAuthentication = z.infer<typeof requestAuthentication>;
export type ExpectedGraph = z.infer<typeof expectedGraph>;
export type MtlsMode = z.infer<typeof mtlsMode>;

/** Every kind with its schema, plural, short name and scope: the one table that the store, the API and the CRDs read. */
export const KINDS = {
  Mesh: { schema: mesh, plural: 'meshes', short: 'mesh', namespaced: false },
  Workload: { schema: workload, plural: 'workloads', short: 'wl', namespaced: true },
  Service: { schema: service, plural: 'services', short: 'spsvc', namespaced: true },
  PeerAuthentication: { schema: peerAuthentication, plural: 'peerauthentications', short: 'pa', namespaced: true },
  AuthorizationPolicy: { schema: authorizationPolicy, plural: 'authorizationpolicies', short: 'ap', namespaced: true },
  RequestAuthentication: { schema: requestAuthentication, plural: 'requestauthentications', short: 'ra', namespaced: true },
  ExpectedGraph: { schema: expectedGraph, plural: 'expectedgraphs', short: 'eg', namespaced: true },
} as const;

export type Kind = keyof typeof KINDS;
export type ResourceOf<K extends Kind> = z.infer<(typeof KINDS)[K]['schema']>;
export type Resource = { [K in Kind]: ResourceOf<K> }[Kind];
