import { ADMIN_PORT, type AppProbes, appProbes, IDENTITY_DIRECTORY, PROBE_PORT, PROXY_CONTAINER, PROXY_UID, REDIRECT_CONTAINER } from '@sallyport/shared/push';
import type { ExcludedPorts } from './annotations.ts';
import type { Container } from './pod.ts';
import { type InjectionSettings, RefusedPodError } from './settings.ts';
import { noApiToken, proxyMounts, ROOTS_FILE, STATE_DIRECTORY, TOKEN_FILE } from './volumes.ts';

const PROBES_VARIABLE = 'SALLYPORT_PROBES';
/** How long the proxy may take to get its first identity and configuration before the kubelet starts it anew. */
const START_S = 300;
/** Said although it is the default: what the API server adds would look like a change of ours. */
const DEFAULTS = { imagePullPolicy: 'IfNotPresent', terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'FallbackToLogsOnError' } as const;

/** A probe of the proxy itself. */
function ownProbe(path: '/healthz' | '/readyz', periodSeconds: number, failureThreshold: number) {
  return { httpGet: { path, port: PROBE_PORT, scheme: 'HTTP' }, periodSeconds, timeoutSeconds: 5, failureThreshold, successThreshold: 1 };
}

const fromPod = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } });

/**
 * The proxy. Its own security context meets the Pod Security Standard `restricted`: not root, no capability, no privilege to be
 * gained, the runtime's seccomp profile, and nothing that it can write but its own state.
 */
export function proxyContainer(settings: InjectionSettings, probes: AppProbes): Container {
  const { image, trustDomain, joinUrl, streamUrl, resources, native } = settings;
  return {
    name: PROXY_CONTAINER,
    image,
    ...DEFAULTS,
    ...(native ? { restartPolicy: 'Always' } : {}),
    env: [
      fromPod('SALLYPORT_POD_NAME', 'metadata.name'),
      fromPod('SALLYPORT_POD_NAMESPACE', 'metadata.namespace'),
      { name: 'SALLYPORT_PROXY', value: '$(SALLYPORT_POD_NAME).$(SALLYPORT_POD_NAMESPACE)' },
      { name: 'SALLYPORT_ROLE', value: 'sidecar' },
      { name: 'SALLYPORT_TRUST_DOMAIN', value: trustDomain },
      { name: 'SALLYPORT_JOIN_URL', value: joinUrl },
      { name: 'SALLYPORT_STREAM_URL', value: streamUrl },
      { name: 'SALLYPORT_TOKEN_FILE', value: `${IDENTITY_DIRECTORY}/${TOKEN_FILE}` },
      { name: 'SALLYPORT_BOOTSTRAP_BUNDLE_FILE', value: `${IDENTITY_DIRECTORY}/${ROOTS_FILE}` },
      { name: 'SALLYPORT_STATE_DIR', value: STATE_DIRECTORY },
      { name: 'SALLYPORT_ADMIN_PORT', value: String(ADMIN_PORT) },
      { name: 'SALLYPORT_PROBE_PORT', value: String(PROBE_PORT) },
      fromPod('SALLYPORT_PROBE_HOST', 'status.podIP'),
      // The kubelet replaces $(NAME) in values, and $$ by $.
      { name: PROBES_VARIABLE, value: JSON.stringify(probes).replaceAll('$', '$$$$') },
    ],
    ports: [{ name: 'sallyport-probe', containerPort: PROBE_PORT, protocol: 'TCP' }],
    startupProbe: ownProbe('/readyz', 1, START_S),
    readinessProbe: ownProbe('/readyz', 5, 3),
    livenessProbe: ownProbe('/healthz', 10, 3),
    resources,
    securityContext: {
      runAsNonRoot: true, runAsUser: PROXY_UID, runAsGroup: PROXY_UID, privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [...proxyMounts],
  };
}

/** What puts the redirect rules in place before anything else of the pod runs. Root with NET_ADMIN alone: rules cannot be had for less. */
export function redirectContainer({ redirectImage, resources }: InjectionSettings, excluded: ExcludedPorts): Container {
  return {
    name: REDIRECT_CONTAINER,
    image: redirectImage,
    ...DEFAULTS,
    command: ['sallyport-redirect'],
    args: ['apply', '--proxy-uid', String(PROXY_UID), '--exclude-inbound', excluded.inbound, '--exclude-outbound', excluded.outbound],
    resources,
    securityContext: {
      runAsNonRoot: false, runAsUser: 0, runAsGroup: 0, privileged: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [noApiToken],
  };
}

/** The probes that an injected proxy was told of. @throws RefusedPodError when they are not as {@link proxyContainer} writes them */
export function declaredProbes({ env }: Container): AppProbes {
  const text = env?.find(({ name }) => name === PROBES_VARIABLE)?.value ?? '';
  try {
    return appProbes.parse(JSON.parse(text.replaceAll('$$', '$')));
  } catch {
    throw new RefusedPodError(`container ${PROXY_CONTAINER}: ${PROBES_VARIABLE} is not as the injector writes it. Remedy: create the pod without what the injector added`);
  }
}
