import { z } from 'zod';
import { isTrustDomain } from '@sallyport/shared/mesh';
import { duration, durationMs, proxyName } from '@sallyport/shared/resources';
import { type ProbeSettings, probesText } from './probes/settings.ts';
import { endpointPath } from './workload-client/address.ts';

/** What a proxy process is told by its environment. Times in milliseconds. */
export interface ProxyConfig {
  readonly proxy: string;
  readonly role: 'node' | 'sidecar';
  readonly trustDomain: string;
  readonly joinUrl: URL;
  readonly streamUrl: URL;
  readonly joinTokenFile: string | null;
  /** The pod's projected service account token, by which the proxy then attests instead; null outside Kubernetes. */
  readonly tokenFile: string | null;
  readonly bootstrapBundleFile: string;
  readonly stateDir: string;
  readonly adminPort: number;
  /** Null when no kubelet probes this pod. */
  readonly probes: ProbeSettings | null;
  readonly reportInterval: number;
  /** How long a connection may live, as peers are verified only at its beginning. */
  readonly connectionAge: number;
  /** Path of the socket at which applications find the Workload API; null: it is not served. */
  readonly workloadApi: string | null;
  /** Path of the socket of another Workload API, from which workloads get their SVIDs when the Mesh says so; null: the path that the Mesh names. */
  readonly workloadApiSocket: string | null;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly telemetry: TelemetryConfig;
}

/** Where calls are told beyond metrics and reports (docs/telemetry.md). */
interface TelemetryConfig {
  /** `off`, `stdout` or the path of a file. */
  readonly accessLog: string;
  /** Share of the allowed calls in the access log; all others are always in it. */
  readonly accessLogSample: number;
  /** Null when spans are exported to nobody. */
  readonly otlp: OtlpConfig | null;
  /** Share of the traces that begin here which have spans. */
  readonly traceSample: number;
}

export interface OtlpConfig {
  /** Base URL; `v1/traces` is appended. */
  readonly endpoint: URL;
  /** Lines of `name: value`; read again for each batch. */
  readonly headersFile: string | null;
  /** PEM roots for an https endpoint; null for those that Node trusts. */
  readonly certificateFile: string | null;
}

/** Raised for an environment that cannot be used; the message names each variable and what it must be. */
class InvalidConfigurationError extends Error {
  override readonly name = 'InvalidConfigurationError';
}

const operatorUrl = z.url({ protocol: /^https$/, error: 'must be an https:// URL' }).transform((text) => new URL(text));
/** Address of a SPIFFE Workload Endpoint, ours or another's. */
const endpointSocket = z.string().refine((text) => endpointPath(text) !== null, 'must be unix:///absolute/path of at most 107 bytes, with no host, query or fragment; tcp is not supported').transform((text) => endpointPath(text) ?? '');
const filePath = z.string().min(1).max(4096);
const share = z.coerce.number('must be a number from 0 to 1').min(0, 'must be a number from 0 to 1').max(1, 'must be a number from 0 to 1');
const accessLog = filePath.refine((text) => text === 'off' || text === 'stdout' || text.startsWith('/'), 'must be off, stdout or an absolute path');
/** A name and password in it would be in error messages. */
const otlpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
  .transform((text) => new URL(text))
  .refine((url) => url.username === '' && url.password === '' && url.search === '' && url.hash === '', 'must have no name, password, query or fragment; put secrets into SALLYPORT_OTLP_HEADERS_FILE');

/** Text that is no duration is refused as such already. */
const inMinutes = (text: string, least: number, most: number) => !duration.safeParse(text).success || (durationMs(text) >= least * 60_000 && durationMs(text) <= most * 60_000);

const environment = z.object({
  SALLYPORT_PROXY: proxyName,
  SALLYPORT_ROLE: z.enum(['node', 'sidecar']),
  SALLYPORT_TRUST_DOMAIN: z.string().refine(isTrustDomain, 'must be 1 to 255 characters of [a-z0-9._-]'),
  SALLYPORT_JOIN_URL: operatorUrl,
  SALLYPORT_STREAM_URL: operatorUrl,
  SALLYPORT_JOIN_TOKEN_FILE: filePath.optional(),
  SALLYPORT_TOKEN_FILE: filePath.optional(),
  SALLYPORT_BOOTSTRAP_BUNDLE_FILE: filePath,
  SALLYPORT_STATE_DIR: filePath,
  SALLYPORT_ADMIN_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
  SALLYPORT_WORKLOAD_API_LISTEN: endpointSocket.optional(),
  SPIFFE_ENDPOINT_SOCKET: endpointSocket.optional(),
  SALLYPORT_PROBE_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  SALLYPORT_PROBE_HOST: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').default('127.0.0.1'),
  SALLYPORT_PROBES: probesText.default({}),
  SALLYPORT_REPORT_INTERVAL: duration.default('2s'),
  SALLYPORT_MAX_CONNECTION_AGE: duration.default('1h').refine((text) => inMinutes(text, 1, 24 * 60), 'must be 1m to 24h'),
  SALLYPORT_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  SALLYPORT_ACCESS_LOG: accessLog.default('off'),
  SALLYPORT_ACCESS_LOG_SAMPLE: share.default(1),
  SALLYPORT_TRACE_SAMPLE: share.default(0.01),
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl.optional(),
  OTEL_EXPORTER_OTLP_CERTIFICATE: filePath.optional(),
  SALLYPORT_OTLP_HEADERS_FILE: filePath.optional(),
}).refine(({ SALLYPORT_JOIN_TOKEN_FILE: join, SALLYPORT_TOKEN_FILE: pod }) => join === undefined || pod === undefined, {
  path: ['SALLYPORT_TOKEN_FILE'],
  message: 'is for a proxy in a pod, which needs no SALLYPORT_JOIN_TOKEN_FILE; set one of the two',
});

/**
 * Reads the `SALLYPORT_*` variables, and those of OpenTelemetry that say where spans go.
 *
 * @throws InvalidConfigurationError on one line, naming every variable that is missing or wrong
 */
export function readConfiguration(env: Readonly<Record<string, string | undefined>>): ProxyConfig {
  // An empty variable is how shells and unit files say "not set".
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const result = environment.safeParse(given);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => describe(issue, given));
    throw new InvalidConfigurationError(`cannot start: ${problems.join('; ')}`);
  }
  const e = result.data;
  return Object.freeze({
    proxy: e.SALLYPORT_PROXY,
    role: e.SALLYPORT_ROLE,
    trustDomain: e.SALLYPORT_TRUST_DOMAIN,
    joinUrl: e.SALLYPORT_JOIN_URL,
    streamUrl: e.SALLYPORT_STREAM_URL,
    joinTokenFile: e.SALLYPORT_JOIN_TOKEN_FILE ?? null,
    tokenFile: e.SALLYPORT_TOKEN_FILE ?? null,
    bootstrapBundleFile: e.SALLYPORT_BOOTSTRAP_BUNDLE_FILE,
    stateDir: e.SALLYPORT_STATE_DIR,
    adminPort: e.SALLYPORT_ADMIN_PORT,
    probes: e.SALLYPORT_PROBE_PORT === undefined ? null : { port: e.SALLYPORT_PROBE_PORT, host: e.SALLYPORT_PROBE_HOST, declared: e.SALLYPORT_PROBES },
    reportInterval: Math.max(100, durationMs(e.SALLYPORT_REPORT_INTERVAL)),
    connectionAge: durationMs(e.SALLYPORT_MAX_CONNECTION_AGE),
    workloadApi: e.SALLYPORT_WORKLOAD_API_LISTEN ?? null,
    workloadApiSocket: e.SPIFFE_ENDPOINT_SOCKET ?? null,
    logLevel: e.SALLYPORT_LOG_LEVEL,
    telemetry: telemetryOf(e),
  });
}

function telemetryOf(e: z.output<typeof environment>): TelemetryConfig {
  const endpoint = e.OTEL_EXPORTER_OTLP_ENDPOINT ?? null;
  return {
    accessLog: e.SALLYPORT_ACCESS_LOG,
    accessLogSample: e.SALLYPORT_ACCESS_LOG_SAMPLE,
    traceSample: e.SALLYPORT_TRACE_SAMPLE,
    otlp: endpoint && { endpoint, headersFile: e.SALLYPORT_OTLP_HEADERS_FILE ?? null, certificateFile: e.OTEL_EXPORTER_OTLP_CERTIFICATE ?? null },
  };
}

function describe(issue: z.core.$ZodIssue, given: Readonly<Record<string, string | undefined>>): string {
  const name = String(issue.path[0]);
  return given[name] === undefined ? `${name} is not set` : `${name}: ${issue.message}`;
}
