import { type AppProbe, type AppProbes, appProbe, appProbePath, PROBE_FIELDS, PROBE_PORT, PROXY_PORTS } from '@sallyport/shared/push';
import type { Container, Pod, Probe } from './pod.ts';
import { RefusedPodError } from './settings.ts';

/** core/v1 Probe: "Defaults to 1 second." */
const DEFAULT_TIMEOUT_S = 1;
/** What a probe does, of which it has exactly one. */
const HANDLERS = ['httpGet', 'tcpSocket', 'grpc'] as const;

/** Containers whose probes go by the proxy, what it is to ask, and what stays as it is, in sentences. */
export interface Rewritten {
  readonly containers: readonly Container[];
  readonly probes: AppProbes;
  readonly warnings: readonly string[];
}

/**
 * Leads the kubelet's HTTP, TCP and gRPC probes to the proxy, which asks the application on its own address: the kubelet has
 * no identity in the mesh, so strict mutual TLS refuses it. Times and thresholds stay. Probes that run a program, or that
 * name another host, do not come by the application's ports and stay as they are.
 *
 * @throws RefusedPodError for a probe that the proxy could not ask
 */
export function rewriteProbes(containers: readonly Container[]): Rewritten {
  const probes: AppProbes = {};
  const warnings: string[] = [];
  const rewritten = containers.map((container) => {
    const changes: Partial<Record<(typeof PROBE_FIELDS)[number], Probe>> = {};
    for (const field of PROBE_FIELDS) {
      const probe = container[field];
      const asked = probe && appProbeOf(probe, container, field, warnings);
      if (!probe || !asked) continue;
      const path = appProbePath(container.name, field);
      probes[path] = asked;
      changes[field] = { ...without(probe), httpGet: { path, port: PROBE_PORT, scheme: 'HTTP' } };
    }
    return { ...container, ...changes };
  });
  return { containers: rewritten, probes, warnings };
}

/** The containers as they were before {@link rewriteProbes}, with named ports as numbers. */
export function restoreProbes(containers: readonly Container[], probes: AppProbes): Container[] {
  return containers.map((container) => {
    const changes: Partial<Record<(typeof PROBE_FIELDS)[number], Probe>> = {};
    for (const field of PROBE_FIELDS) {
      const probe = container[field];
      const path = appProbePath(container.name, field);
      const asked = probes[path];
      if (probe && asked && probe.httpGet?.port === PROBE_PORT && probe.httpGet.path === path) changes[field] = { ...without(probe), ...handlerOf(asked) };
    }
    return { ...container, ...changes };
  });
}

/** What of the pod the kubelet calls past its probes, where strict mutual TLS refuses it. */
export function hookWarnings({ spec }: Pod): string[] {
  const calls = spec.containers.filter(({ lifecycle }) => Object.values(lifecycle ?? {}).some((hook) => typeof hook !== 'string' && hook.httpGet !== undefined && hook.httpGet.host === undefined));
  return calls.map(({ name }) => `container ${name}: its lifecycle hook calls it in plaintext, which STRICT mutual TLS refuses; use exec, or exclude the port`);
}

function appProbeOf(probe: Probe, container: Container, field: string, warnings: string[]): AppProbe | null {
  const handler = probe.httpGet ?? probe.tcpSocket ?? probe.grpc;
  // "Host name to connect to, defaults to the pod IP": another host is none of this pod's ports.
  if (!handler || (typeof handler['host'] === 'string' && handler['host'] !== '')) return null;
  const port = portOf(handler.port, container);
  if (port === null) {
    warnings.push(`container ${container.name}: ${field} names port ${String(handler.port)}, which it does not have; left as it is`);
    return null;
  }
  const place = `container ${container.name}: ${field}`;
  if (PROXY_PORTS.includes(port)) throw new RefusedPodError(`${place} asks port ${port}, which is the proxy's. Remedy: give the application another port`);
  const parsed = appProbe.safeParse(wanted(probe, port));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new RefusedPodError(`${place} cannot be asked by the proxy: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}. Remedy: change it, or use exec`);
}

function wanted({ httpGet, tcpSocket, grpc, timeoutSeconds }: Probe, port: number): unknown {
  const timeout = timeoutSeconds ?? DEFAULT_TIMEOUT_S;
  if (httpGet) return { kind: 'http', port, path: rooted(httpGet.path ?? ''), scheme: httpGet.scheme ?? 'HTTP', headers: httpGet.httpHeaders ?? [], timeout };
  if (tcpSocket) return { kind: 'tcp', port, timeout };
  return { kind: 'grpc', port, service: grpc?.service ?? '', timeout };
}

/** The kubelet puts a slash before a path that has none. */
function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** "Name must be an IANA_SVC_NAME": of a port of the same container. */
function portOf(reference: string | number, { ports }: Container): number | null {
  if (typeof reference === 'number') return reference;
  return ports?.find(({ name }) => name === reference)?.containerPort ?? (/^\d{1,5}$/.test(reference) ? Number(reference) : null);
}

function handlerOf(asked: AppProbe): Partial<Probe> {
  if (asked.kind === 'tcp') return { tcpSocket: { port: asked.port } };
  if (asked.kind === 'grpc') return { grpc: { port: asked.port, service: asked.service } };
  const { port, path, scheme, headers } = asked;
  return { httpGet: { path, port, scheme, ...(headers.length > 0 ? { httpHeaders: headers } : {}) } };
}

function without(probe: Probe): Probe {
  return Object.fromEntries(Object.entries(probe).filter(([key]) => !(HANDLERS as readonly string[]).includes(key)));
}
