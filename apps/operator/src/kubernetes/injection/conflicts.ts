import { INJECT_LABEL, PROXY_CONTAINER, PROXY_PORTS, PROXY_UID, REDIRECT_CONTAINER } from '@sallyport/shared/push';
import { allContainers, type Container, type Pod } from './pod.ts';
import { OWN_VOLUMES } from './volumes.ts';

const REMEDY = `Remedy: change it, or have who may do so label the pod ${INJECT_LABEL}: "false"`;
/** Names that no container of another's may have. */
export const OWN_CONTAINERS: readonly string[] = [PROXY_CONTAINER, REDIRECT_CONTAINER];

/** What keeps this pod from having a proxy, as a sentence with its remedy; null when nothing does. */
export function conflict(pod: Pod): string | null {
  const found = ofPod(pod) ?? allContainers(pod).map(ofContainer).find((text) => text !== null) ?? null;
  return found === null ? null : `${found}. ${REMEDY}`;
}

function ofPod({ spec }: Pod): string | null {
  // Its network namespace is the node's: the rules would lead everybody's connections to this pod's proxy.
  if (spec.hostNetwork === true) return 'the pod uses the network of its node (hostNetwork), where no connection can be told to be its own';
  if (spec.os?.name !== undefined && spec.os.name !== 'linux') return `the pod is for ${spec.os.name}; the redirect rules are Linux's`;
  if (spec.securityContext?.runAsUser === PROXY_UID) return ofUser('the pod runs');
  const volume = spec.volumes?.find(({ name }) => OWN_VOLUMES.includes(name));
  return volume ? `volume ${volume.name} has a name of the injector's` : null;
}

function ofContainer({ name, ports, securityContext }: Container): string | null {
  if (OWN_CONTAINERS.includes(name)) return `container ${name} has a name of the injector's, and the injector did not write it`;
  if (securityContext?.runAsUser === PROXY_UID) return ofUser(`container ${name} runs`);
  const port = ports?.find(({ containerPort, protocol }) => (protocol ?? 'TCP') === 'TCP' && PROXY_PORTS.includes(containerPort));
  return port ? `container ${name} has port ${port.containerPort}, which is the proxy's` : null;
}

function ofUser(who: string): string {
  return `${who} as user ${PROXY_UID}, the proxy's, whose connections go past the proxy`;
}
