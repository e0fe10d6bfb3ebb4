import { readFile } from 'node:fs/promises';
import { auditView, certificatesView, evidenceKey } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';

test.beforeEach(async ({ signed }) => {
  expect(signed.csrfToken).not.toBe('');
});

test('evidence is exported as a file, listed, and shown with its key', async ({ page }) => {
  await open(page, '/evidence', 'Evidence');
  const key = await ask(page.request, '/evidence/key', evidenceKey);
  await expect(page.locator('[data-evidence-fingerprint]')).toHaveText(key.fingerprint);
  await page.getByLabel('Range').selectOption('15m');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export and download' }).click()]);
  expect(download.suggestedFilename()).toMatch(/\.zip$/);
  const bytes = await readFile(await download.path());
  expect(bytes.subarray(0, 4).toString('latin1')).toBe('PK\u0003\u0004');
  for (const name of ['SHA256SUMS', 'attestation.dsse.json', 'VERIFY.md']) expect(bytes.includes(name), name).toBe(true);
  await expect(page.getByRole('status').filter({ hasText: download.suggestedFilename() })).toBeVisible();
  await expect(page.getByRole('group', { name: 'Earlier exports' }).locator('tbody tr').first()).toBeVisible();
});

test('a range that ends before it begins is refused with the reason', async ({ page }) => {
  await open(page, '/evidence', 'Evidence');
  await page.getByLabel('Range').selectOption('custom');
  await page.getByLabel('From').fill('2026-01-02T00:00');
  await page.getByLabel('To, not included').fill('2026-01-01T00:00');
  const button = page.getByRole('button', { name: 'Export and download' });
  await expect(button).toHaveAttribute('aria-disabled', 'true');
  await expect(button).toHaveAccessibleDescription('The end must be after the beginning.');
});

test('every workload’s certificate is in the inventory', async ({ page }) => {
  await open(page, '/identities', 'Identities');
  const { items } = await ask(page.request, '/certificates', certificatesView);
  expect(items.length).toBeGreaterThan(12);
  for (const { spiffeId } of items) await expect(page.getByRole('rowheader', { name: spiffeId, exact: true }).first()).toBeVisible();
});

test('the audit log is whole and shows who wrote what', async ({ page }) => {
  await open(page, '/audit', 'Audit log');
  await expect(page.getByText('chain intact')).toBeVisible();
  const { items, chain } = await ask(page.request, '/audit?limit=5', auditView);
  expect(chain).toBe('intact');
  expect(items.some((item) => item.action === 'sign-in')).toBe(true);
  await expect(page.getByRole('rowheader', { name: 'sign-in' }).first()).toBeVisible();
});
