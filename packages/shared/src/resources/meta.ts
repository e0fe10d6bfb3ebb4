import { z } from 'zod';

export const API_VERSION = 'sallyport.dev/v1alpha1';

/** RFC 1123 label: what Kubernetes demands of most names. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a lower-case RFC 1123 label (letters, digits, dashes)');

const labelMap = z.record(z.string().min(1).max(317), z.string().max(63));
const annotationMap = z.record(z.string().min(1).max(317), z.string().max(4096));

/** Label selector in Istio's short form. An empty or absent `matchLabels` selects the whole namespace. */
export const workloadSelector = z.strictObject({ matchLabels: labelMap.optional() });

/**
 * Gateway API policy attachment (GEP-713): the objects whose traffic the policy applies to. Our proxies serve those of
 * kind Service; the other kinds are Istio's, and only `compatibility: istio` takes them, to no effect, as its sidecars do.
 */
export const targetRefs = z
  .array(
    z.strictObject({
      group: z.enum(['', 'sallyport.dev', 'gateway.networking.k8s.io', 'networking.istio.io']).default('sallyport.dev'),
      kind: z.enum(['Service', 'Gateway', 'GatewayClass', 'ServiceEntry']),
      name: dnsLabel,
      namespace: dnsLabel.optional(),
    }),
  )
  .min(1)
  .max(16)
  .optional();

export const port = z.int().min(1).max(65535);

/** A Go-style duration such as `90s`, `10m`, `24h`. */
export const duration = z.string().regex(/^[1-9][0-9]{0,6}(ms|s|m|h)$/, 'must be a duration such as 90s, 10m or 24h');

/** Milliseconds of a {@link duration} that already passed its schema. */
export function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  if (!match) throw new Error(`not a duration: ${text}`);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'];
  return Number(match[1]) * unit;
}

export const objectMeta = z.strictObject({
  name: dnsLabel,
  namespace: dnsLabel.optional(),
  labels: labelMap.optional(),
  annotations: annotationMap.optional(),
  /** Set by the store; ignored on the way in but for `resourceVersion`, which asks for compare-and-set. */
  uid: z.string().max(64).optional(),
  generation: z.int().optional(),
  resourceVersion: z.string().max(32).optional(),
  creationTimestamp: z.iso.datetime().optional(),
  managedFields: z
    .array(z.strictObject({ manager: z.string(), fields: z.array(z.string()), time: z.iso.datetime() }))
    .optional(),
});
export type ObjectMeta = z.infer<typeof objectMeta>;

export const condition = z.strictObject({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.iso.datetime(),
  observedGeneration: z.int(),
});
export type Condition = z.infer<typeof condition>;

/** Status of every kind: Gateway API's conditions (GEP-1364) and, for what proxies run, their acknowledgements. */
export const status = z.strictObject({
  observedGeneration: z.int().optional(),
  conditions: z.array(condition).optional(),
  proxies: z
    .strictObject({ target: z.int(), acked: z.int(), nacked: z.int(), pending: z.array(z.string()).optional() })
    .optional(),
});
export type Status = z.infer<typeof status>;
