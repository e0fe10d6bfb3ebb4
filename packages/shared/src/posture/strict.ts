import type { Blocker, CoverageView } from '../api/index.ts';
import { compare, FRESH_MS, iso, lookupOf, type MeshState, sourceOf } from '../graph/index.ts';
import type { Flow, MeshWorkload, Window } from '../mesh/index.ts';

export interface StrictInput {
  readonly namespace: string;
  readonly window: Window;
  readonly now: number;
  readonly mesh: MeshState;
  readonly flows: readonly Flow[];
  /** Restricted to the proxies that serve the namespace. */
  readonly coverage: CoverageView;
  /** Least share of the window, 0 to 1, that each serving proxy must have reported. */
  readonly minimumCoverage: number;
  /** Proxies that have not acknowledged the present configuration. */
  readonly pendingProxies: readonly string[];
  readonly stepping: boolean;
}

/**
 * Everything that forbids stepping a namespace to strict mTLS now. Empty only when the window proves that each call to
 * it was mutual TLS: enough telemetry from every serving proxy, every workload behind a proxy, no plaintext caller.
 *
 * Calls that policy refused for another reason are left out: strict changes nothing for them, and a caller without any
 * right could otherwise hold up the step for ever. Calls that strict itself refused count (a canary's, for instance).
 */
export function strictBlockers(input: StrictInput): Blocker[] {
  return [
    ...(input.stepping ? [steppingBlocker(input)] : []),
    ...telemetryBlockers(input),
    ...unmeshedBlockers(input),
    ...behindBlockers(input),
    ...plaintextBlockers(input),
  ];
}

function blocker(
  input: StrictInput,
  kind: Blocker['kind'],
  message: string,
  remedy: string,
  more: Partial<Pick<Blocker, 'destination' | 'lastSeen'>> = {},
): Blocker {
  return {
    kind,
    source: { ip: null, workload: null },
    destination: { namespace: input.namespace, workload: null, service: null },
    port: null,
    count: 0,
    lastSeen: null,
    message,
    remedy,
    ...more,
  };
}

function steppingBlocker(input: StrictInput): Blocker {
  return blocker(
    input,
    'already-stepping',
    `A step of ${input.namespace} is in progress.`,
    `Wait for it to end, or end it with: sallyport strict rollback ${input.namespace}`,
  );
}

function telemetryBlockers(input: StrictInput): Blocker[] {
  const { proxies } = input.coverage;
  if (proxies.length === 0) {
    return [
      blocker(
        input,
        'no-telemetry',
        `No proxy serves ${input.namespace}, so nothing is known about its traffic.`,
        `Enrol its workloads: sallyport workload enroll ${input.namespace}/NAME`,
      ),
    ];
  }
  if (proxies.every((proxy) => !proxy.live)) {
    const last = proxies.flatMap((proxy) => proxy.lastReport ?? []).sort(compare).at(-1);
    const message = `No proxy that serves ${input.namespace} is reporting: ${last === undefined ? 'none ever has' : `no data since ${last}`}.`;
    return [blocker(input, 'no-telemetry', message, 'Start the proxies; see: sallyport proxies', { lastSeen: last ?? null })];
  }
  return proxies.flatMap((proxy) => coverageBlocker(input, proxy));
}

function coverageBlocker(input: StrictInput, proxy: CoverageView['proxies'][number]): Blocker[] {
  const wanted = `${percent(input.minimumCoverage)} is required`;
  if (!proxy.live) {
    const message = `Proxy ${proxy.name} is silent: ${proxy.lastReport === null ? 'it has never reported' : `no data since ${proxy.lastReport}`}.`;
    const remedy = `Start proxy ${proxy.name}; see: sallyport proxies`;
    return [blocker(input, 'coverage-gap', message, remedy, { lastSeen: proxy.lastReport })];
  }
  if (proxy.share >= input.minimumCoverage) return [];
  const gap = proxy.gaps.at(-1);
  const where = gap ? `; last gap ${gap.from} to ${gap.to}` : '';
  const message = `Proxy ${proxy.name} reported ${percent(proxy.share)} of the window; ${wanted}${where}.`;
  const remedy = 'Keep it running: the gate opens when the gap has left the window.';
  return [blocker(input, 'coverage-gap', message, remedy, { lastSeen: proxy.lastReport })];
}

// Rounded down: 94.99 % must not read as 95 %.
function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`;
}

function unmeshedBlockers(input: StrictInput): Blocker[] {
  return input.mesh.workloads
    .filter((workload) => workload.namespace === input.namespace && workload.proxy === null && workload.foreign === undefined)
    .sort((a, b) => compare(a.name, b.name))
    .map((workload) => {
      const message = `Workload ${input.namespace}/${workload.name} is outside the mesh: strict would not protect it.`;
      const destination = { namespace: input.namespace, workload: workload.name, service: serviceOf(input.mesh, workload) };
      return blocker(input, 'unmeshed-workload', message, enrol(workload), { destination });
    });
}

function serviceOf(mesh: MeshState, workload: MeshWorkload): string | null {
  return lookupOf(mesh).servicesOf.get(`${workload.namespace}/${workload.name}`)?.[0]?.name ?? null;
}

function enrol(workload: MeshWorkload): string {
  return `sallyport workload enroll ${workload.namespace}/${workload.name}`;
}

function behindBlockers(input: StrictInput): Blocker[] {
  const serving = new Set(input.mesh.workloads.filter((item) => item.namespace === input.namespace).map((item) => item.proxy));
  return input.pendingProxies
    .filter((name) => serving.has(name))
    .map((name) =>
      blocker(
        input,
        'proxy-behind',
        `Proxy ${name} has not acknowledged the present configuration.`,
        `Wait for it, or look at its refusal: sallyport proxies`,
      ),
    );
}

function plaintextBlockers(input: StrictInput): Blocker[] {
  const found = new Map<string, Blocker>();
  for (const flow of input.flows) {
    if (flow.side !== 'inbound' || flow.destination.namespace !== input.namespace || !wouldBeCut(flow)) continue;
    const { source, destination } = flow;
    const key = JSON.stringify([source.ip, destination.workload, destination.service, destination.port]);
    const lastSeen = iso(flow.lastSeen);
    const known = found.get(key);
    const count = (known?.count ?? 0) + flow.count;
    const seen = known?.lastSeen && known.lastSeen > lastSeen ? known.lastSeen : lastSeen;
    found.set(key, plaintextBlocker(input, flow, count, seen));
  }
  return [...found.entries()].sort(([a, x], [b, y]) => y.count - x.count || compare(a, b)).map(([, item]) => item);
}

function wouldBeCut(flow: Flow): boolean {
  if (flow.reason === 'plaintext-refused') return true;
  // A handshake that failed was refused before the step and will be after it: no caller of today is cut off.
  if (flow.reason === 'peer-not-verified') return false;
  return flow.mtls !== 'mutual' && flow.verdict !== 'denied';
}

function plaintextBlocker(input: StrictInput, flow: Flow, count: number, lastSeen: string): Blocker {
  const { namespace, workload, service, port } = flow.destination;
  const from = sourceOf(flow, input.mesh).workload;
  const caller = from === null ? flow.source.ip : `${from} (${flow.source.ip})`;
  return {
    kind: 'plaintext-caller',
    source: { ip: flow.source.ip, workload: from },
    destination: { namespace, workload, service },
    port,
    count,
    lastSeen,
    message: `${caller} called ${namespace}/${service ?? workload ?? '?'}:${port} in plaintext ${count} times since ${iso(input.window.from)}, last at ${lastSeen}.`,
    remedy: plaintextRemedy(input, from, flow.source.ip, Date.parse(lastSeen)),
  };
}

function plaintextRemedy(input: StrictInput, key: string | null, ip: string, lastSeen: number): string {
  const workload = key === null ? undefined : lookupOf(input.mesh).workloads.get(key);
  if (!workload) {
    return `Find what runs at ${ip} (on its node: ss -tnp, or ask the DHCP or IPAM record), register it as a Workload with that address and enrol it; if nothing may call from there, deny it by ipBlocks.`;
  }
  if (workload.proxy === null) return enrol(workload);
  if (input.now - lastSeen > FRESH_MS) {
    const clean = iso(lastSeen + input.window.to - input.window.from);
    return `${key} is in the mesh now and has sent no plaintext since: the gate opens at ${clean} if it stays so.`;
  }
  return `${key} is in the mesh but calls around its proxy ${workload.proxy}: point it at its outbound listener (spec.outbound of the Workload).`;
}
