/** Whose clock it is. Pure code takes the result; only processes hold one. */
export type Clock = () => number;

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
  readonly ports: readonly { readonly port: number; readonly protocol: 'http' | 'tcp' }[];
}

/** A service as the rest of the product knows it. `workloads` are names in the same namespace. */
export interface MeshService {
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly { readonly port: number; readonly targetPort: number; readonly protocol: 'http' | 'tcp' }[];
  readonly workloads: readonly string[];
}

/** True when every label of `selector` is on `labels`; an absent or empty selector selects all. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
