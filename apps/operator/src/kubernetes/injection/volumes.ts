import { IDENTITY_DIRECTORY, POD_ANNOTATION, TOKEN_AUDIENCE } from '@sallyport/shared/push';

const IDENTITY = 'sallyport-identity';
const STATE = 'sallyport-state';
const NO_TOKEN = 'sallyport-no-token';
/** The kubelet writes a new token when four fifths of it are over. */
const TOKEN_S = 3600;
/** 0644: only our own containers mount it, and the proxy's user is not root. */
const READABLE = 0o644;
const STATE_MOUNT = '/var/lib/sallyport';

export const OWN_VOLUMES: readonly string[] = [IDENTITY, STATE, NO_TOKEN];
/** What the proxy makes private for itself; the mount above it belongs to root. */
export const STATE_DIRECTORY = `${STATE_MOUNT}/state`;
export const ROOTS_FILE = 'roots.pem';
export const TOKEN_FILE = 'token';

/** Where an admission plugin mounts the token for the API server into every container that has nothing there. */
const API_TOKEN_MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The volumes of our containers, with every default said: an API server that adds it must find nothing to change. */
export function ownVolumes() {
  return [
    {
      name: IDENTITY,
      projected: {
        defaultMode: READABLE,
        sources: [
          { serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_S, path: TOKEN_FILE } },
          { downwardAPI: { items: [{ path: ROOTS_FILE, fieldRef: { apiVersion: 'v1', fieldPath: `metadata.annotations['${POD_ANNOTATION.roots}']` } }] } },
        ],
      },
    },
    // Keys: in memory, and gone with the pod.
    { name: STATE, emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
    { name: NO_TOKEN, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  ];
}

/** The pod's token for the API server is the application's; no container of ours has it. */
export const noApiToken = { name: NO_TOKEN, mountPath: API_TOKEN_MOUNT, readOnly: true } as const;

/** What the proxy mounts. */
export const proxyMounts = [{ name: IDENTITY, mountPath: IDENTITY_DIRECTORY, readOnly: true }, { name: STATE, mountPath: STATE_MOUNT }, noApiToken] as const;
