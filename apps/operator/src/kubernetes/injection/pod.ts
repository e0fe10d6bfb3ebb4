import { z } from 'zod';

/**
 * The parts of a core/v1 Pod that the injector reads. Everything else is carried along as it is: a field that this version
 * does not know must reach the API server again (istio/istio#52245 lost `restartPolicy` that way).
 */
const text = z.string().max(256 * 1024);
const portRef = z.union([z.int(), text]);
const probe = z.looseObject({
  httpGet: z.looseObject({ path: text.optional(), port: portRef, host: text.optional(), scheme: text.optional(), httpHeaders: z.array(z.strictObject({ name: text, value: text })).optional() }).optional(),
  tcpSocket: z.looseObject({ port: portRef, host: text.optional() }).optional(),
  grpc: z.looseObject({ port: z.int(), service: text.nullish() }).optional(),
  exec: z.looseObject({}).optional(),
  timeoutSeconds: z.int().optional(),
});
const container = z.looseObject({
  name: text,
  env: z.array(z.looseObject({ name: text, value: text.optional() })).optional(),
  ports: z.array(z.looseObject({ name: text.optional(), containerPort: z.int(), protocol: text.optional() })).optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  startupProbe: probe.optional(),
  lifecycle: z.record(z.string(), z.looseObject({ httpGet: z.looseObject({ host: text.optional() }).optional() }).or(z.string())).optional(),
  restartPolicy: text.optional(),
  securityContext: z.looseObject({ runAsUser: z.int().optional() }).optional(),
});
export const podObject = z.looseObject({
  metadata: z.looseObject({ name: text.optional(), generateName: text.optional(), labels: z.record(z.string(), text).optional(), annotations: z.record(z.string(), text).optional() }),
  spec: z.looseObject({
    containers: z.array(container),
    initContainers: z.array(container).optional(),
    volumes: z.array(z.looseObject({ name: text })).optional(),
    hostNetwork: z.boolean().optional(),
    shareProcessNamespace: z.boolean().optional(),
    restartPolicy: text.optional(),
    os: z.looseObject({ name: text }).optional(),
    securityContext: z.looseObject({ runAsUser: z.int().optional() }).optional(),
  }),
});
export type Pod = z.infer<typeof podObject>;
export type Container = z.infer<typeof container>;
export type Probe = z.infer<typeof probe>;

/** Containers of the pod that run while the application does, and before it. */
export function allContainers({ spec }: Pod): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}
