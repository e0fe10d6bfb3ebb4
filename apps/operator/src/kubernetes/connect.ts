import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from './client.ts';

/**
 * The way to the API server.
 *
 * @param kubeconfig a kubeconfig file; null: the service account of the pod we run in
 * @throws Error when there is none
 */
export function connectCluster(kubeconfig: string | null): KubeClient {
  const config = new KubeConfig();
  if (kubeconfig === null) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  return new KubeClient(config);
}
