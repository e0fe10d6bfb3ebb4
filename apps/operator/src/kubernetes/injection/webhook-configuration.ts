import { z } from 'zod';
import { type KubeClient, KubeError } from '../client.ts';

/** Name of our webhook within its configuration. */
const WEBHOOK = 'pods.injector.sallyport.dev';
const MANAGER = 'sallyport-injector';
const configuration = z.looseObject({
  metadata: z.looseObject({ uid: z.string() }),
  webhooks: z.array(z.looseObject({ name: z.string(), clientConfig: z.looseObject({ caBundle: z.string().optional() }) })).optional(),
});

/**
 * Has the API server trust these certificates when it calls the webhook. The chart owns the configuration but for its
 * `caBundle`, which is applied with a field manager of its own and taken back from whoever changed it.
 *
 * @returns whether it had to be changed
 * @throws Error when the configuration or our webhook in it is not there: it is not ours to make
 */
export async function keepCaBundle(client: KubeClient, name: string, certificates: readonly string[]): Promise<boolean> {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
  const { metadata, webhooks } = configuration.parse(await read(client, path, name));
  const webhook = webhooks?.find((one) => one.name === WEBHOOK);
  if (!webhook) throw new Error(`MutatingWebhookConfiguration ${name} has no webhook ${WEBHOOK}. Remedy: install the chart again`);
  const caBundle = Buffer.from(certificates.join('')).toString('base64');
  if (webhook.clientConfig.caBundle === caBundle) return false;
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration',
    // With its UID it is never made anew, when it was deleted in the meantime.
    metadata: { name, uid: metadata.uid },
    webhooks: [{ name: WEBHOOK, clientConfig: { caBundle } }],
  };
  await client.request({ method: 'PATCH', path, query: { fieldManager: MANAGER, force: true }, contentType: 'application/apply-patch+yaml', body });
  return true;
}

async function read(client: KubeClient, path: string, name: string): Promise<unknown> {
  try {
    return await client.request({ method: 'GET', path });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
    throw new Error(`there is no MutatingWebhookConfiguration ${name}: no pod gets a proxy. Remedy: install the chart with injection.enabled`, { cause: error });
  }
}
