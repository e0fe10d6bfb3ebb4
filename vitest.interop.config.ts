import { defineConfig } from 'vitest/config';

/** `npm run test:interop`: programs of others, of which some take long to build the first time. */
export default defineConfig({
  test: { include: ['apps/**/*.interop.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
});
