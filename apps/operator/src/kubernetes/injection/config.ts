import { z } from 'zod';
import type { ContainerResources } from './settings.ts';

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const objectName = z.string().max(253).regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be the name of an object');
const image = z.string().min(1).max(1_024).regex(/^\S+$/, 'must be the name of an image');
const httpsUrl = z.url({ protocol: /^https$/, error: 'must be an https:// URL' });
const amounts = z.record(z.string().min(1).max(253), z.string().max(32).regex(/^\d+(\.\d+)?([a-zA-Z]{1,2})?$/, 'must be an amount such as 100m or 256Mi'));
const DEFAULT_RESOURCES = '{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"1","memory":"256Mi"}}';

const resources = z.string().max(4_096).transform((text, context): ContainerResources => {
  try {
    return z.strictObject({ requests: amounts.default({}), limits: amounts.default({}) }).parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON with requests and limits, such as {"limits":{"memory":"256Mi"}}' });
    return z.NEVER;
  }
});

/** The variables of the operator that are the injector's; without an image nothing is injected. */
export const injectionEnvironment = {
  SALLYPORT_PROXY_IMAGE: image.optional(),
  SALLYPORT_REDIRECT_IMAGE: image.optional(),
  SALLYPORT_REDIRECT: z.enum(['container', 'node']).default('container'),
  SALLYPORT_PROXY_RESOURCES: resources.default(() => resources.parse(DEFAULT_RESOURCES)),
  SALLYPORT_JOIN_URL: httpsUrl.optional(),
  SALLYPORT_STREAM_URL: httpsUrl.optional(),
  SALLYPORT_WEBHOOK_NAME: objectName.default('sallyport-injector'),
  SALLYPORT_WEBHOOK_SERVICE: z.string().regex(label, 'must be the name of a Service').default('sallyport-operator'),
  SALLYPORT_WEBHOOK_SECRET: objectName.default('sallyport-webhook-ca'),
};

/** What the injector is told by the environment. */
export interface InjectionConfig {
  readonly image: string;
  readonly redirectImage: string;
  readonly redirect: 'container' | 'node';
  readonly resources: ContainerResources;
  readonly joinUrl: string;
  readonly streamUrl: string;
  /** Name of the MutatingWebhookConfiguration. */
  readonly webhookName: string;
  /** Name of the Service in our namespace by which the API server finds us. */
  readonly service: string;
  /** Name of the Secret in our namespace with the webhook's CA. */
  readonly secret: string;
}

type Environment = z.infer<z.ZodObject<typeof injectionEnvironment>>;

/**
 * The injector's configuration from a checked environment; null when no image is named, and then nothing is injected.
 *
 * @param namespace our own, where the Service is
 */
export function injectionConfig(e: Environment, namespace: string, ports: { readonly join: number; readonly stream: number }): InjectionConfig | null {
  if (e.SALLYPORT_PROXY_IMAGE === undefined) return null;
  const url = (port: number) => `https://${e.SALLYPORT_WEBHOOK_SERVICE}.${namespace}.svc:${port}`;
  return {
    image: e.SALLYPORT_PROXY_IMAGE,
    redirectImage: e.SALLYPORT_REDIRECT_IMAGE ?? e.SALLYPORT_PROXY_IMAGE,
    redirect: e.SALLYPORT_REDIRECT,
    resources: e.SALLYPORT_PROXY_RESOURCES,
    joinUrl: e.SALLYPORT_JOIN_URL ?? url(ports.join),
    streamUrl: e.SALLYPORT_STREAM_URL ?? url(ports.stream),
    webhookName: e.SALLYPORT_WEBHOOK_NAME,
    service: e.SALLYPORT_WEBHOOK_SERVICE,
    secret: e.SALLYPORT_WEBHOOK_SECRET,
  };
}
