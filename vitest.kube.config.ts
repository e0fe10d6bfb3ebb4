import { defineConfig } from 'vitest/config';

/** Tests on a real Kubernetes API: one etcd, API server and controller manager for the whole run. Part of `npm test`. */
export default defineConfig({
  test: {
    include: ['{apps,charts,tools}/**/*.kube.test.ts'],
    exclude: ['**/node_modules/**', '**/.next/**'],
    maxWorkers: 2,
    globalSetup: ['vitest.setup.ts', 'vitest.kube.setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
