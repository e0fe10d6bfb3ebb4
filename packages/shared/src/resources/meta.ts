import { z } from 'zod';
import { atMost, checked, type FieldCheck } from './checks.ts';

export const API_VERSION = 'sallyport.dev/v1alpha1';

/** RFC 1123 label: what Kubernetes demands of most names. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a lower-case RFC 1123 label (letters, digits, dashes)');

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
/** Annotations of the workloads and services that the operator makes from the pods and services of its cluster. */
export const DERIVED_ANNOTATION = {
  /** What to change instead: `Pod/web-1`. */
  from: 'sallyport.dev/derived-from',
  /** Who made the pod, for people: `Deployment/web`. */
  owner: 'sallyport.dev/owner',
  node: 'sallyport.dev/node',
  /** Why no proxy serves the pod, with the remedy. */
  outside: 'sallyport.dev/outside',
} as const;

const SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const SUBDOMAIN_TEXT = 'must be lower-case RFC 1123 labels with dots between them';
/** RFC 1123 subdomain: what Kubernetes demands of names of service accounts. */
export const dnsSubdomain = z.string().min(1).max(253).regex(SUBDOMAIN, SUBDOMAIN_TEXT);
/**
 * Name of a proxy. That of a pod is `<pod>.<namespace>`: names of pods are RFC 1123 subdomains, namespaces labels, so that the
 * last part is always the namespace.
 */
export const proxyName = z.string().min(1).max(317).regex(SUBDOMAIN, SUBDOMAIN_TEXT);

/** Kubernetes' "qualified name": a name of at most 63 characters, after a DNS subdomain of at most 253 and a slash or none. */
const QUALIFIED_NAME = '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const MAX_PREFIX = 253;
const NAME_MESSAGE = 'must be a name of letters, digits, dashes, dots and underscores, with a DNS name and a slash before it or none';
const labelKey = z.string().regex(new RegExp(QUALIFIED_NAME), NAME_MESSAGE).refine((key) => key.indexOf('/') <= MAX_PREFIX, NAME_MESSAGE);
/** The API server looks at the key of an annotation in lower case. */
const annotationKey = z.string().refine((key) => labelKey.safeParse(key.toLowerCase()).success, NAME_MESSAGE);
const labelValue = z.string().max(63).regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'must be letters, digits, dashes, dots and underscores, and begin and end with a letter or digit');
const labelMap = z.record(labelKey, labelValue);
/** Labels that something selects by. */
export const selectorLabels = atMost(labelMap, 64).meta({ cel: [{ rule: `self.all(key, key.indexOf('/') <= ${MAX_PREFIX} && key.matches('${QUALIFIED_NAME}'))`, message: `each key ${NAME_MESSAGE}` }] });
const annotationMap = z.record(annotationKey, z.string().max(4096));

/** Label selector in Istio's short form. An empty or absent `matchLabels` selects the whole namespace. */
export const workloadSelector = z
  .strictObject({ matchLabels: selectorLabels.optional().describe('Labels that a workload must have, all of them. Empty or absent: every workload of the namespace.') })
  .describe('The workloads that this applies to, by their labels. In the root namespace it selects in every namespace, but not for a PeerAuthentication.');

/**
 * Gateway API policy attachment (GEP-713): the objects whose traffic the policy applies to. Our proxies serve those of
 * kind Service; the other kinds are Istio's, and only `compatibility: istio` takes them, to no effect, as its sidecars do.
 */
const targetRefs = z
  .array(
    z.strictObject({
      group: z.enum(['', 'sallyport.dev', 'gateway.networking.k8s.io', 'networking.istio.io']).default('sallyport.dev').describe('API group of the object.'),
      kind: z.enum(['Service', 'Gateway', 'GatewayClass', 'ServiceEntry']).describe('Kind of the object. Our proxies serve `Service`.'),
      name: dnsLabel.describe('Name of the object.'),
      namespace: dnsLabel.optional().describe('Namespace of the object; absent: the policy’s own, and no other is allowed.'),
    }),
  )
  .min(1)
  .max(16)
  .optional()
  .describe('The objects whose traffic this applies to (Gateway API, GEP-713). Excludes `selector`.');

/** What both kinds of policy are attached by. */
export const attachment = { selector: workloadSelector.optional(), targetRefs } as const;
export const attachmentCheck: FieldCheck<{ readonly selector?: unknown; readonly targetRefs?: unknown }> = {
  test: (spec) => spec.selector === undefined || spec.targetRefs === undefined,
  cel: '!(has(self.selector) && has(self.targetRefs))',
  field: 'targetRefs',
  message: 'selector and targetRefs exclude each other',
};

export const port = z.int().min(1).max(65535);

/** A Go-style duration such as `90s`, `10m`, `24h`. */
export const duration = z.string().max(9).regex(/^[1-9][0-9]{0,6}(ms|s|m|h)$/, 'must be a duration such as 90s, 10m or 24h');

/** Milliseconds of a {@link duration} that already passed its schema. */
export function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  if (!match) throw new Error(`not a duration: ${text}`);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'];
  return Number(match[1]) * unit;
}

/** GEP-2257: the form of durations in Gateway API, a subset of Go's. */
const GATEWAY_DURATION = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;

/** A duration of Gateway API (GEP-2257) such as `1h30m`, `10s` or `250ms`, from `least` to `most`. */
export function gatewayDuration(least: string, most: string): z.ZodString {
  return checked(
    z.string().max(32).regex(GATEWAY_DURATION, 'must be a duration such as 250ms, 10s or 1m30s'),
    {
      // Said of text that is no duration too, which the pattern already refused.
      test: (text) => !GATEWAY_DURATION.test(text) || (gatewayDurationMs(text) >= gatewayDurationMs(least) && gatewayDurationMs(text) <= gatewayDurationMs(most)),
      cel: `duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`,
      message: `must be ${least} to ${most}`,
    },
  );
}

/** Milliseconds of a {@link gatewayDuration} that already passed its schema. */
export function gatewayDurationMs(text: string): number {
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
  return [...text.matchAll(/(\d+)(ms|h|m|s)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * units[unit as keyof typeof units], 0);
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
  type: z.string().describe('What is told, such as `Accepted` or `Programmed`.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds; `Unknown` when it could not be told.'),
  reason: z.string().describe('One word for programs.'),
  message: z.string().describe('A sentence for people.'),
  lastTransitionTime: z.iso.datetime().describe('When the status last changed.'),
  observedGeneration: z.int().describe('The generation of `spec` that this is about.'),
});
export type Condition = z.infer<typeof condition>;

/** Status of every kind: Gateway API's conditions (GEP-1364) and, for what proxies run, their acknowledgements. */
export const status = z.strictObject({
  observedGeneration: z.int().optional().describe('The newest generation of `spec` that was taken up.'),
  conditions: z.array(condition).meta({ listMapKey: 'type' }).optional().describe('What holds of the object, one entry for each type.'),
  proxies: z
    .strictObject({
      target: z.int().describe('Proxies that should have it.'),
      acked: z.int().describe('Proxies that run it.'),
      nacked: z.int().describe('Proxies that refused it.'),
      pending: z.array(z.string()).optional().describe('Names of proxies that have not answered.'),
    })
    .optional()
    .describe('How far it has come among the proxies.'),
});
export type Status = z.infer<typeof status>;
