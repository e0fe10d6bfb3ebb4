import { z } from 'zod';
import { HBONE_PORT, INTERCEPTION_PORTS } from '../resources/index.ts';

/**
 * The contract between the injector, which writes proxies into pods, and those proxies. All names of it that stand in
 * pods and namespaces are here and nowhere else.
 */

/** Label of a namespace whose pods get proxies, and its one value that means it. */
export const INJECTION_LABEL = 'sallyport.dev/injection';
export const INJECTION_ENABLED = 'enabled';
/** Label of a pod; `"false"` keeps it out of the mesh. Only who may `optout` sets it. */
export const INJECT_LABEL = 'sallyport.dev/inject';
/** What the injector and people write on pods. Nothing else of `sallyport.dev/` is taken. */
export const POD_ANNOTATION = {
  /** Version of the injector that was here. */
  injected: 'sallyport.dev/injected',
  /** What this pod does not get of the mesh, one sentence a line. */
  warnings: 'sallyport.dev/warnings',
  /** The operator's roots in PEM; the proxy reads them as a file. */
  roots: 'sallyport.dev/operator-roots',
  /** Ports that peers reach past the proxy, such as `22,9000-9010`. */
  excludeInbound: 'sallyport.dev/exclude-inbound-ports',
  /** Ports that the pod calls past its proxy. DNS is always one. */
  excludeOutbound: 'sallyport.dev/exclude-outbound-ports',
} as const;
export const PROXY_CONTAINER = 'sallyport-proxy';
export const REDIRECT_CONTAINER = 'sallyport-redirect';

/** Where the token and the operator's roots are mounted. */
export const IDENTITY_DIRECTORY = '/var/run/secrets/sallyport.dev';

/** The proxy's user, which the redirect rules know it by. No other container of the pod may have it. */
export const PROXY_UID = 1337;
/** Port of the proxy, on loopback, for people and scrapers inside the pod. */
export const ADMIN_PORT = 15_000;
/** Port of the proxy at which the kubelet finds the probes of the pod: Istio's. The redirect rules leave it alone. */
export const PROBE_PORT = 15_021;
/** What the proxy calls on loopback, where nobody listens, to learn whether the redirect rules are there. */
export const RULES_CHECK_PORTS = { inbound: 15_016, outbound: 15_011 } as const;
/** Ports of a pod that its proxy has. */
export const PROXY_PORTS: readonly number[] = [ADMIN_PORT, PROBE_PORT, HBONE_PORT, ...Object.values(INTERCEPTION_PORTS), ...Object.values(RULES_CHECK_PORTS)];

const port = z.int().min(1).max(65_535);
/** Seconds, as Kubernetes has them. */
const timeout = z.int().min(1).max(3_600);
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headers = z.array(z.strictObject({ name: z.string().min(1).max(256).regex(token), value: z.string().max(4_096).regex(/^[^\0\r\n]*$/) })).max(64);

/** What the kubelet would ask of the application, if it could: a probe of core/v1 with its port as a number. */
export const appProbe = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('http'), port, path: z.string().max(4_096).regex(/^\/[^\s\0]*$/), scheme: z.enum(['HTTP', 'HTTPS']), headers, timeout }),
  z.strictObject({ kind: z.literal('tcp'), port, timeout }),
  z.strictObject({ kind: z.literal('grpc'), port, service: z.string().max(1_024), timeout }),
]);
export type AppProbe = z.infer<typeof appProbe>;

export const PROBE_FIELDS = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
/** Probes by their paths at the {@link PROBE_PORT}. */
export const appProbes = z
  .record(z.string().regex(/^\/app\/[a-z0-9-]{1,63}\/(?:liveness|readiness|startup)Probe$/), appProbe)
  .refine((probes) => Object.keys(probes).length <= 256, 'must be at most 256 probes');
export type AppProbes = z.infer<typeof appProbes>;

/** Where the kubelet asks for a container's probe. */
export function appProbePath(container: string, field: (typeof PROBE_FIELDS)[number]): string {
  return `/app/${container}/${field}`;
}
