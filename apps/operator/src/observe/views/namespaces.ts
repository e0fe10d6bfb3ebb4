import type { MaturityView, NamespaceDetail, NamespacesView, NamespaceView } from '@sallyport/shared/api';
import { buildGraph, windowViewOf } from '@sallyport/shared/graph';
import { assessMaturity } from '@sallyport/shared/maturity';
import { decidedAs, type MeshWorkload, ownWorkloads } from '@sallyport/shared/mesh';
import { cleanDays, type CleanFacts, readCleanFacts } from '../../history/clean.ts';
import { openSignals } from '../../history/signals.ts';
import { bearsOn, namespaceMode, portModes } from '../modes.ts';
import { namespacesOf, observe, type Observation } from '../observation.ts';
import { certificateItems } from './certificates.ts';
import { callsTo, storedPolicies, strictPlan, type StrictSources } from './strict.ts';

interface Context {
  readonly sources: StrictSources;
  readonly observation: Observation;
  readonly certificates: Awaited<ReturnType<typeof certificateItems>>;
  readonly signals: Awaited<ReturnType<typeof openSignals>>;
  readonly clean: CleanFacts;
}

async function contextOf(sources: StrictSources, windowMs: number): Promise<Context> {
  const [observation, certificates, signals, clean] = await Promise.all([
    observe(sources, windowMs),
    certificateItems(sources),
    openSignals(sources.database),
    readCleanFacts(sources.database, sources.now()),
  ]);
  return { sources, observation, certificates, signals, clean };
}

/** All namespaces with mode, protection of what arrived, and stage. */
export async function namespacesView(sources: StrictSources, windowMs: number): Promise<NamespacesView> {
  const context = await contextOf(sources, windowMs);
  const { observation } = context;
  return {
    window: windowViewOf(observation.window),
    coverage: observation.coverage,
    items: namespacesOf(observation.mesh).map((name) => summary(context, name)),
  };
}

/** One namespace in full, or null when nothing is in it. */
export async function namespaceDetail(sources: StrictSources, windowMs: number, name: string): Promise<NamespaceDetail | null> {
  const context = await contextOf(sources, windowMs);
  if (!namespacesOf(context.observation.mesh).includes(name)) return null;
  const plan = await strictPlan(sources, name);
  const workloads = inNamespace(context, name);
  const { window } = context.observation;
  return { ...summary(context, name), window: windowViewOf(window), coverage: context.observation.coverageOf(name), plan, maturity: maturityOf(context, name), workloadList: workloads.map((workload) => workloadView(context, workload)) };
}

function inNamespace(context: Context, name: string): MeshWorkload[] {
  return context.observation.mesh.workloads.filter((workload) => workload.namespace === name);
}

function liveProxies(context: Context): Set<string> {
  return new Set(context.observation.coverage.proxies.filter((proxy) => proxy.live).map((proxy) => proxy.name));
}

function summary(context: Context, name: string): NamespaceView {
  const { sources, observation } = context;
  const workloads = ownWorkloads(inNamespace(context, name));
  const live = liveProxies(context);
  const { mode, source } = namespaceMode(observation.mesh.workloads, name, storedPolicies(sources));
  const inbound = observation.flows.filter((flow) => flow.side === 'inbound' && flow.destination.namespace === name);
  const calls = callsTo(observation, name);
  // Without a live proxy, what callers say they sent is not known to have arrived protected.
  const unknown = graphOf(context, name).edges.filter((edge) => edge.target.includes(`:${name}/`)).reduce((sum, edge) => sum + edge.mtls.unknown, 0);
  return {
    name,
    mode,
    modeSource: source,
    workloads: {
      total: workloads.length,
      meshed: workloads.filter((workload) => workload.proxy !== null).length,
      live: workloads.filter((workload) => workload.proxy !== null && live.has(workload.proxy)).length,
    },
    services: observation.mesh.services.filter((service) => service.namespace === name).length,
    policies: sources.cache.all('AuthorizationPolicy').filter((policy) => policy.metadata.namespace === name).length,
    mtls: { mutual: calls.mutual, plaintext: calls.plaintext, unknown: Math.max(calls.unknown, unknown) },
    denied: inbound.filter((flow) => flow.verdict === 'denied').reduce((sum, flow) => sum + flow.count, 0),
    stage: maturityOf(context, name).stage,
  };
}

function graphOf(context: Context, namespace: string) {
  const { window, now, mesh, flows, coverage } = context.observation;
  return buildGraph({ window, now, mesh, flows, coverage, namespace });
}

function maturityOf(context: Context, namespace: string): MaturityView {
  const { sources, observation } = context;
  const edges = graphOf(context, namespace).edges.filter((edge) => edge.target.includes(`:${namespace}/`));
  const certificates = context.certificates.filter((item) => item.namespace === namespace);
  const signals = context.signals.filter((signal) => signal.namespace === namespace && signal.severity === 'critical');
  return assessMaturity({
    namespace,
    mode: namespaceMode(observation.mesh.workloads, namespace, storedPolicies(sources)).mode,
    workloads: ownWorkloads(inNamespace(context, namespace)).map((workload) => maturityWorkload(context, workload)),
    calls: callsTo(observation, namespace),
    coverage: observation.coverageOf(namespace),
    certificates: {
      total: certificates.length,
      overdue: certificates.filter((item) => item.state === 'overdue').length,
      expired: certificates.filter((item) => item.state === 'expired').length,
    },
    undeclaredEdges: edges.filter((edge) => edge.state === 'undeclared').length,
    declaredEdges: edges.filter((edge) => edge.declared).length,
    now: observation.now,
    cleanDays: cleanDays(context.clean, namespace, observation.coverageOf(namespace).proxies.map((proxy) => proxy.name), observation.now),
    openCriticalSignals: signals.length,
    jwt: tokensValidated(context, namespace),
    // Not observed by this version: each criterion that needs one of them says so and stays indeterminate.
    unusedGrants: null, egressDeclared: null, federation: null, gitOps: null, evidenceVerifiedAt: null,
  });
}

/** Whether every workload that speaks HTTP checks the tokens that it is shown; null when none does. */
function tokensValidated(context: Context, namespace: string): boolean | null {
  const policies = storedPolicies(context.sources);
  const checks = policies.requestAuthentications.filter((policy) => policy.spec.jwtRules.length > 0);
  const http = inNamespace(context, namespace).filter((workload) => workload.ports.some(({ protocol }) => decidedAs(protocol).includes('http')));
  if (http.length === 0) return null;
  return http.every((workload) => workload.proxy !== null && checks.some((policy) => bearsOn(policy, workload, policies)));
}

function maturityWorkload(context: Context, workload: MeshWorkload) {
  const policies = storedPolicies(context.sources);
  const hasPolicy = policies.authorizationPolicies.some(
    (policy) => policy.spec.action === 'ALLOW' && policy.spec.enforcement === 'Enforce' && bearsOn(policy, workload, policies),
  );
  const live = workload.proxy !== null && liveProxies(context).has(workload.proxy);
  return { name: workload.name, proxy: workload.proxy, live, serviceAccount: workload.serviceAccount, hasPolicy };
}

function workloadView(context: Context, workload: MeshWorkload): NamespaceDetail['workloadList'][number] {
  const proxy = context.observation.coverage.proxies.find((item) => item.name === workload.proxy);
  const { name, serviceAccount, spiffeId, address } = workload;
  const ports = portModes(workload, storedPolicies(context.sources)).map(({ port, protocol, effective }) => ({ port, protocol, mode: effective.mode }));
  return { name, serviceAccount, spiffeId, trustDomain: workload.foreign ?? null, address, proxy: workload.proxy, proxyLive: proxy?.live ?? false, lastReport: proxy?.lastReport ?? null, ports };
}
