import { namespaceDetail, strictPlan } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';
import { plaintextAnswer } from '../wire.ts';

test('strict is refused while a plaintext caller is there, and the caller is named', async ({ page, signed }) => {
  await open(page, '/namespaces/orders?tab=strict', /orders/);
  const row = page.getByRole('row').filter({ hasText: 'billing/legacy-billing' });
  await expect(row).toContainText(/127\.\d+\.\d+\.\d+/);
  await expect(row).toContainText('checkout:5050');
  await expect(row.getByRole('button', { name: /Enrol legacy-billing/ })).toBeVisible();
  const button = page.getByRole('button', { name: 'Step to strict…' });
  await expect(button).toHaveAttribute('aria-disabled', 'true');
  await expect(button).toHaveAccessibleDescription(/1 plaintext caller/);
  await button.click({ force: true });
  await expect(page.getByRole('dialog')).toHaveCount(0);
  // The gate is the operator's, not the button's.
  const forced = await page.request.post('/api/v1/namespaces/orders/strict', { data: {}, headers: { 'x-csrf-token': signed.csrfToken } });
  expect(forced.status()).toBe(412);
  expect(await forced.json()).toMatchObject({ error: { code: 'precondition' } });
  const plan = await ask(page.request, '/namespaces/orders/strict', strictPlan);
  expect(plan.mode).toBe('PERMISSIVE');
  const blocker = plan.blockers.find((each) => each.kind === 'plaintext-caller');
  expect(blocker).toMatchObject({ source: { workload: 'billing/legacy-billing' }, destination: { service: 'checkout' } });
  expect(blocker?.count).toBeGreaterThan(0);
});

test('a clean namespace steps to strict in stages, refuses plaintext on the wire, and rolls back', async ({ page, signed }) => {
  test.setTimeout(300_000);
  const headers = { 'x-csrf-token': signed.csrfToken };
  await open(page, '/namespaces/platform?tab=strict', /platform/);
  const button = page.getByRole('button', { name: 'Step to strict…' });
  // A demo that has just begun first has to fill its window.
  await expect(button).not.toHaveAttribute('aria-disabled', 'true', { timeout: 150_000 });
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Step to strict' }).press('Enter');
  await expect(page.getByRole('heading', { name: 'Step under way' })).toBeVisible();
  await expect(page.getByRole('list', { name: 'Log of the step' }).getByRole('listitem').first()).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Last step' })).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText('The step has succeeded.')).toBeVisible();

  const detail = await ask(page.request, '/namespaces/platform', namespaceDetail);
  expect(detail.mode).toBe('STRICT');
  const ports = detail.workloadList.flatMap((workload) => workload.ports.map(({ port }) => ({ host: workload.address, port })));
  expect(ports.length).toBeGreaterThan(0);
  for (const { host, port } of ports) expect(await plaintextAnswer(host, port), `${host}:${port}`).not.toMatch(/^HTTP\/1\.1 [12]/);

  await page.getByRole('button', { name: 'Roll back…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await expect(page.getByText('The step has rolled back.')).toBeVisible();
  const after = await ask(page.request, '/namespaces/platform/strict', strictPlan);
  expect(after).toMatchObject({ mode: 'PERMISSIVE', step: { state: 'rolled-back' } });
  expect((await page.request.post('/api/v1/namespaces/platform/strict/rollback', { data: {}, headers })).status()).toBeGreaterThanOrEqual(400);
});
