/** Whose clock it is. Pure code takes the result; only processes hold one. */
export type Clock = () => number;

/**
 * What is spoken on a port, as declared. `http`, `http2` and `grpc` say which version the application takes; callers may
 * speak either. `tls` is the application's own TLS, passed through. `auto` is told by the first bytes of each connection.
 */
export const PORT_PROTOCOLS = ['http', 'http2', 'grpc', 'tcp', 'tls', 'auto'] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

/** As what calls are counted and decided: by request, or by connection. */
export type CallProtocol = 'http' | 'tcp';

const DECIDED_AS: Readonly<Record<PortProtocol, readonly [CallProtocol, ...CallProtocol[]]>> = {
  http: ['http'], http2: ['http'], grpc: ['http'], tcp: ['tcp'], tls: ['tcp'], auto: ['http', 'tcp'],
};

/** As what calls to such a port may come before policy: on an `auto` port either. */
export function decidedAs(protocol: PortProtocol): readonly [CallProtocol, ...CallProtocol[]] {
  return DECIDED_AS[protocol];
}

/** A workload as the rest of the product knows it, in either store mode. */
export interface MeshWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly spiffeId: string;
  readonly address: string;
  /** Name of the proxy that serves it; null when it is outside the mesh. */
  readonly proxy: string | null;
  /** The federated trust domain that it belongs to, when it is not ours. */
  readonly foreign?: string;
  readonly ports: readonly { readonly port: number; readonly protocol: PortProtocol }[];
}

/** Workloads of our own trust domain: what others run is theirs to protect and to prove. */
export function ownWorkloads(workloads: readonly MeshWorkload[]): MeshWorkload[] {
  return workloads.filter(({ foreign }) => foreign === undefined);
}

/** A service as the rest of the product knows it. `workloads` are names in the same namespace. */
export interface MeshService {
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly { readonly port: number; readonly targetPort: number; readonly protocol: PortProtocol }[];
  readonly workloads: readonly string[];
}

/** True when every label of `selector` is on `labels`; an absent or empty selector selects all. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
