import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{apps,packages}/**/*.test.ts', '{bench,demo,tools}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/.next/**'],
    // Two cores: a PostgreSQL, proxies and a browser build already fill them.
    maxWorkers: 2,
    globalSetup: ['vitest.setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
