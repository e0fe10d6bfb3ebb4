import { isDeepStrictEqual } from 'node:util';
import { INJECT_LABEL, POD_ANNOTATION, PROXY_CONTAINER } from '@sallyport/shared/push';
import { readAnnotations } from './annotations.ts';
import { conflict, OWN_CONTAINERS } from './conflicts.ts';
import { declaredProbes, proxyContainer, redirectContainer } from './containers.ts';
import { allContainers, type Container, type Pod } from './pod.ts';
import { hookWarnings, restoreProbes, rewriteProbes } from './probes.ts';
import { type InjectionSettings, RefusedPodError } from './settings.ts';
import { OWN_VOLUMES, ownVolumes } from './volumes.ts';

/** What an ordinary container loses against a native sidecar (KEP-753, "Motivation"). */
const ORDINARY = [
  'this cluster has no native sidecars: the application may start before its proxy is ready, and end after it',
  'init containers run before the redirect rules, so what they send is plaintext and no policy sees it',
] as const;
const ENDLESS = 'the pod never completes, because its proxy does not end with the application; Kubernetes 1.29 or later ends it';
const SHARED_PROCESSES = 'shareProcessNamespace: root in another container can read the keys of the proxy';

/** The pod as it is to be, and what it lacks of the mesh. */
export interface Injected {
  readonly pod: Pod;
  readonly warnings: readonly string[];
}

/** Whether a pod was left out by its label. Who may set that is for the policy `sallyport-optout` to say. */
export function optedOut({ metadata }: Pod): boolean {
  return metadata.labels?.[INJECT_LABEL] === 'false';
}

/**
 * A pod with its proxy. Doing it to a pod that has one gives the same pod again, whoever changed what is ours in between:
 * admission webhooks are called again after others (reinvocationPolicy IfNeeded), and people copy running pods.
 *
 * @throws RefusedPodError for a pod that cannot have one
 */
export function inject(given: Pod, settings: InjectionSettings): Injected {
  const pod = stripped(given);
  const problem = conflict(pod);
  if (problem !== null) throw new RefusedPodError(problem);
  const excluded = readAnnotations(pod.metadata.annotations ?? {});
  const rewritten = rewriteProbes(pod.spec.containers);
  // Native sidecars of the application may have probes too; other init containers may not.
  const before = rewriteProbes(pod.spec.initContainers ?? []);
  const warnings = [...rewritten.warnings, ...before.warnings, ...hookWarnings(pod), ...drawbacks(pod, settings)];
  const proxy = proxyContainer(settings, { ...before.probes, ...rewritten.probes });
  const redirect = settings.redirect === 'container' ? [redirectContainer(settings, excluded)] : [];
  const containers = placed({ containers: rewritten.containers, initContainers: before.containers }, redirect, proxy, settings.native);
  const spec = { ...pod.spec, ...containers, volumes: withVolumes(given.spec.volumes ?? []) };
  return { pod: settled(given, { ...pod, metadata: { ...pod.metadata, annotations: annotated(pod, settings, warnings) }, spec }), warnings };
}

/** The pod without what an earlier injection added, told by its annotation. */
function stripped(pod: Pod): Pod {
  const { [POD_ANNOTATION.injected]: injected, [POD_ANNOTATION.warnings]: _warnings, [POD_ANNOTATION.roots]: _roots, ...annotations } = pod.metadata.annotations ?? {};
  const proxy = allContainers(pod).find(({ name }) => name === PROXY_CONTAINER);
  if (injected === undefined || !proxy) return { ...pod, metadata: { ...pod.metadata, annotations } };
  const probes = declaredProbes(proxy);
  const others = (containers: readonly Container[]) => restoreProbes(containers.filter(({ name }) => !OWN_CONTAINERS.includes(name)), probes);
  const volumes = pod.spec.volumes?.filter(({ name }) => !OWN_VOLUMES.includes(name)) ?? [];
  return { ...pod, metadata: { ...pod.metadata, annotations }, spec: { ...pod.spec, volumes, containers: others(pod.spec.containers), initContainers: others(pod.spec.initContainers ?? []) } };
}

interface Containers {
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
}

/**
 * A native sidecar comes before all else, rules first, so that init containers are in the mesh. An ordinary proxy runs
 * only after them, and rules before it would cut them off: then the rules come last.
 */
function placed({ containers, initContainers }: Containers, redirect: readonly Container[], proxy: Container, native: boolean) {
  return native
    ? { containers: [...containers], initContainers: [...redirect, proxy, ...initContainers] }
    : { containers: [proxy, ...containers], initContainers: [...initContainers, ...redirect] };
}

/** Ours where they are, else at the end: others may have added theirs since. */
function withVolumes(given: readonly { readonly name: string }[]) {
  const own = ownVolumes();
  const replaced = given.map((volume) => own.find(({ name }) => name === volume.name) ?? volume);
  return [...replaced, ...own.filter(({ name }) => !given.some((volume) => volume.name === name))];
}

function annotated({ metadata }: Pod, { version, roots }: InjectionSettings, warnings: readonly string[]): Record<string, string> {
  return {
    ...metadata.annotations,
    [POD_ANNOTATION.injected]: version,
    [POD_ANNOTATION.roots]: roots.map((root) => `${root.trim()}\n`).join(''),
    ...(warnings.length > 0 ? { [POD_ANNOTATION.warnings]: warnings.join('\n') } : {}),
  };
}

function drawbacks({ spec }: Pod, { native }: InjectionSettings): string[] {
  const ends = spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure';
  return [...(native ? [] : ORDINARY), ...(!native && ends ? [ENDLESS] : []), ...(spec.shareProcessNamespace === true ? [SHARED_PROCESSES] : [])];
}

/** A LimitRange adds what our containers do not ask for, such as ephemeral storage; that is not a change to be undone. */
function settled(given: Pod, wanted: Pod): Pod {
  const before = allContainers(given);
  const keep = (container: Container): Container => {
    const present = before.find(({ name }) => name === container.name);
    if (!present || !OWN_CONTAINERS.includes(container.name)) return container;
    const same = isDeepStrictEqual({ ...present, resources: null }, { ...container, resources: null }) && covers(present['resources'], container['resources']);
    return same ? present : container;
  };
  const { initContainers = [], ...spec } = wanted.spec;
  // The API server keeps no empty list.
  return { ...wanted, spec: { ...spec, containers: spec.containers.map(keep), ...(initContainers.length > 0 ? { initContainers: initContainers.map(keep) } : {}) } };
}

/** Whether everything that is wanted is there, whatever else is. */
function covers(present: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return present === wanted;
  if (typeof present !== 'object' || present === null) return false;
  return Object.entries(wanted).every(([key, value]) => covers((present as Record<string, unknown>)[key], value));
}
