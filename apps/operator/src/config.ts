import { isTrustDomain } from '@sallyport/shared/mesh';
import { z } from 'zod';
import { type InjectionConfig, injectionConfig, injectionEnvironment } from './kubernetes/injection/config.ts';
import type { WebCertificate } from './federation/endpoint.ts';

const portNumber = z.coerce.number().int().min(0).max(65535);

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const environment = z.object({
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// address'),
  SALLYPORT_API_PORT: portNumber.default(8470),
  SALLYPORT_JOIN_PORT: portNumber.default(8471),
  SALLYPORT_STREAM_PORT: portNumber.default(8472),
  SALLYPORT_BUNDLE_PORT: portNumber.optional(),
  SALLYPORT_BUNDLE_CERT_FILE: z.string().min(1).optional(),
  SALLYPORT_BUNDLE_KEY_FILE: z.string().min(1).optional(),
  SALLYPORT_HOST: z.string().default('127.0.0.1'),
  SALLYPORT_STATE_DIR: z.string().min(1),
  SALLYPORT_KEK_FILE: z.string().min(1).optional(),
  SALLYPORT_TRUST_DOMAIN: z.string().refine(isTrustDomain, 'must be a SPIFFE trust domain').default('cluster.local'),
  SALLYPORT_ADMIN_USERNAME: z.string().min(1).max(64).default('admin'),
  SALLYPORT_ADMIN_PASSWORD: z.string().min(12, 'must have at least 12 characters').max(256),
  SALLYPORT_RETENTION_DAYS: z.coerce.number().int().min(1).max(3650).default(365),
  KUBERNETES_SERVICE_HOST: z.string().optional(),
  SALLYPORT_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  SALLYPORT_STORE: z.enum(['postgres', 'kubernetes']).default('postgres'),
  KUBECONFIG: z.string().min(1).optional(),
  SALLYPORT_NAMESPACE: z.string().regex(DNS_LABEL, 'must be the name of a namespace').optional(),
  SALLYPORT_POD_NAME: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be the name of a pod').optional(),
  SALLYPORT_WEBHOOK_PORT: portNumber.default(9443),
  ...injectionEnvironment,
}).refine((e) => e.SALLYPORT_STORE === 'postgres' || e.SALLYPORT_NAMESPACE !== undefined, { path: ['SALLYPORT_NAMESPACE'], message: 'goes with SALLYPORT_STORE=kubernetes: set it to the namespace that the operator runs in' }).refine((e) => e.SALLYPORT_STORE === 'postgres' || e.SALLYPORT_POD_NAME !== undefined, { path: ['SALLYPORT_POD_NAME'], message: 'goes with SALLYPORT_STORE=kubernetes: a name that no other replica has' }).refine((e) => (e.SALLYPORT_BUNDLE_CERT_FILE === undefined) === (e.SALLYPORT_BUNDLE_KEY_FILE === undefined), { path: ['SALLYPORT_BUNDLE_KEY_FILE'], message: 'goes with SALLYPORT_BUNDLE_CERT_FILE: set both or none' });

/** What Kubernetes mode needs beside the rest. */
export interface KubernetesConfig {
  /** A kubeconfig file; null: the service account of the pod we run in. */
  readonly kubeconfig: string | null;
  /** Our own namespace: of the Lease, and of what only we write. */
  readonly namespace: string;
  /** Our name among the replicas. */
  readonly podName: string;
  readonly webhookPort: number;
  /** Null: no pod gets a proxy. */
  readonly injection: InjectionConfig | null;
}

/** The operator's configuration, checked once and frozen. Ports of 0 mean any free one. */
export interface Config {
  readonly databaseUrl: string;
  readonly host: string;
  readonly ports: { readonly api: number; readonly join: number; readonly stream: number };
  /** Where other trust domains fetch our bundle; null: nowhere. */
  readonly bundleEndpoint: { readonly port: number; readonly web: WebCertificate | null } | null;
  readonly stateDir: string;
  /** The key under which private keys are wrapped; null for one that is made beside them. */
  readonly kekFile: string | null;
  readonly trustDomain: string;
  readonly admin: { readonly username: string; readonly password: string };
  readonly retentionDays: number;
  readonly logLevel: string;
  /** The cluster whose cert-manager may sign for us: by a kubeconfig file, or (null) by the service account of our pod. */
  readonly cluster: { readonly kubeconfig: string | null } | null;
  /** Null: PostgreSQL is the store. Otherwise CRDs are, and PostgreSQL keeps history only. */
  readonly kubernetes: KubernetesConfig | null;
}

/** Raised for an unusable environment; the message names each variable and never its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the environment. @throws ConfigError */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const result = environment.safeParse(env);
  if (!result.success) {
    throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
  }
  const e = result.data;
  return Object.freeze({
    databaseUrl: e.DATABASE_URL,
    host: e.SALLYPORT_HOST,
    ports: { api: e.SALLYPORT_API_PORT, join: e.SALLYPORT_JOIN_PORT, stream: e.SALLYPORT_STREAM_PORT },
    bundleEndpoint: e.SALLYPORT_BUNDLE_PORT === undefined ? null : { port: e.SALLYPORT_BUNDLE_PORT, web: webOf(e.SALLYPORT_BUNDLE_CERT_FILE, e.SALLYPORT_BUNDLE_KEY_FILE) },
    stateDir: e.SALLYPORT_STATE_DIR,
    kekFile: e.SALLYPORT_KEK_FILE ?? null,
    trustDomain: e.SALLYPORT_TRUST_DOMAIN,
    admin: { username: e.SALLYPORT_ADMIN_USERNAME, password: e.SALLYPORT_ADMIN_PASSWORD },
    retentionDays: e.SALLYPORT_RETENTION_DAYS,
    logLevel: e.SALLYPORT_LOG_LEVEL,
    cluster: e.KUBECONFIG === undefined && e.KUBERNETES_SERVICE_HOST === undefined ? null : { kubeconfig: e.KUBECONFIG ?? null },
    kubernetes: kubernetesOf(e),
  });
}

function kubernetesOf(e: z.infer<typeof environment>): KubernetesConfig | null {
  const { SALLYPORT_NAMESPACE: namespace, SALLYPORT_POD_NAME: podName } = e;
  if (e.SALLYPORT_STORE === 'postgres' || namespace === undefined || podName === undefined) return null;
  return { kubeconfig: e.KUBECONFIG ?? null, namespace, podName, webhookPort: e.SALLYPORT_WEBHOOK_PORT, injection: injectionConfig(e, namespace, { join: e.SALLYPORT_JOIN_PORT, stream: e.SALLYPORT_STREAM_PORT }) };
}

function webOf(certificateFile: string | undefined, keyFile: string | undefined): WebCertificate | null {
  return certificateFile === undefined || keyFile === undefined ? null : { certificateFile, keyFile };
}
