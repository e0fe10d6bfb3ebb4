import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';
import { readDemo } from './demo.ts';

const SYSTEM_CHROMIUM = '/usr/bin/chromium';

/** CHROMIUM_PATH, else the system's Chromium, else the browser that Playwright installed. */
function browser(): { executablePath?: string } {
  const named = process.env['CHROMIUM_PATH'];
  if (named) return { executablePath: named };
  return existsSync(SYSTEM_CHROMIUM) ? { executablePath: SYSTEM_CHROMIUM } : {};
}

/** Journeys through a running demo, one after the other: they change the one mesh that all of them look at. */
export default defineConfig({
  testDir: './journeys',
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  // A step to strict waits for its window and its two watches.
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  outputDir: '../test-results',
  use: {
    baseURL: readDemo().consoleUrl,
    viewport: { width: 1440, height: 900 },
    // No trace: it would hold the password and the session of the demo.
    screenshot: 'only-on-failure',
    launchOptions: {
      ...browser(),
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
  },
});
