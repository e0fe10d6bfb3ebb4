import { KubeConfig } from '@kubernetes/client-node';
import { inject } from 'vitest';
import './provided.ts';

/** How to reach the real API server of this run (`vitest.kube.config.ts`), as a member of system:masters. The CRDs are installed. */
export function testCluster(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(inject('kubeconfig'));
  return config;
}
