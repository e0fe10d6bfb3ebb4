import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deniesView, graphView, namespaceDetail, signalsView } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';
import { readDemo } from '../demo.ts';
import { plaintextAnswer } from '../wire.ts';

// These change the demo for good, so their file comes last.

const run = promisify(execFile);
const CLI = join(import.meta.dirname, '..', '..', 'bin', 'sallyport');

/** Runs the command line against the demo that the journeys look at. */
async function sallyport(...args: string[]): Promise<string> {
  const { apiUrl, username, password } = readDemo();
  const file = process.env['SALLYPORT_DEMO_FILE'];
  const state = file === undefined ? {} : { SALLYPORT_STATE: join(file, '..') };
  const env = { ...process.env, ...state, SALLYPORT_SERVER: apiUrl, SALLYPORT_USERNAME: username, SALLYPORT_PASSWORD: password };
  return (await run(CLI, args, { env, timeout: 120_000 })).stdout;
}

test('a burst of denied calls becomes a signal with who, what and which policy', async ({ page, signed }) => {
  test.setTimeout(120_000);
  expect(signed.csrfToken).not.toBe('');
  expect(await sallyport('demo', 'attack', 'deny-burst')).toContain('403');
  await open(page, '/signals', 'Signals');
  const row = page.getByRole('row').filter({ hasText: 'sa/rogue' }).filter({ hasText: /denied/ });
  await expect(row.first()).toBeVisible({ timeout: 30_000 });
  const { items } = await ask(page.request, '/signals', signalsView);
  const burst = items.find((signal) => signal.kind === 'deny-burst');
  expect(burst?.severity).toBe('critical');
  expect(burst?.subject).toContain('/sa/rogue');
  const denies = await ask(page.request, '/denies?window=5m&namespace=payments&limit=1000', deniesView);
  const rogue = denies.items.filter((deny) => deny.source.principal?.endsWith('/sa/rogue'));
  expect(rogue.length).toBeGreaterThanOrEqual(50);
  expect(rogue[0]).toMatchObject({ method: 'POST', policy: 'payments/payment-callers', reason: 'policy-no-allow' });
});

test('the legacy client is enrolled by button, the gate opens, the namespace steps to strict, plaintext is refused', async ({ page, signed }) => {
  test.setTimeout(400_000);
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/namespaces/orders?tab=strict', /orders/);
  await page.getByRole('button', { name: /Enrol legacy-billing/ }).press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: /Enrol/ }).press('Enter');
  const button = page.getByRole('button', { name: 'Step to strict…' });
  await expect(button).not.toHaveAttribute('aria-disabled', 'true', { timeout: 180_000 });
  await button.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Step to strict' }).press('Enter');
  await expect(page.getByText('The step has succeeded.')).toBeVisible({ timeout: 120_000 });

  const detail = await ask(page.request, '/namespaces/orders', namespaceDetail);
  expect(detail.mode).toBe('STRICT');
  const ports = detail.workloadList.flatMap((workload) => workload.ports.map(({ port }) => ({ host: workload.address, port })));
  expect(ports.length).toBeGreaterThanOrEqual(4);
  for (const { host, port } of ports) expect(await plaintextAnswer(host, port), `${host}:${port}`).toBe('');
  // The legacy client still gets through, now with an identity.
  const graph = await ask(page.request, '/graph?window=30s', graphView);
  const legacy = graph.edges.find((edge) => edge.source === 'workload:billing/legacy-billing' && edge.target === 'service:orders/checkout');
  expect(legacy).toMatchObject({ mtls: { plaintext: 0, unknown: 0 }, denied: 0 });
  expect(legacy?.mtls.mutual).toBeGreaterThan(0);
  await expect.poll(async () => (await ask(page.request, '/denies?window=5m&namespace=orders', deniesView)).items.some((deny) => deny.reason === 'plaintext-refused')).toBe(true);
});
