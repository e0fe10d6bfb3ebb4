import { deniesView } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';

const POLICY = 'payments/allow-currency';
/** The one caller of payments/currency that nobody declared, and that the wizard therefore leaves out. */
const UNDECLARED = 'spiffe://boutique.demo/ns/catalog/sa/recommendation';

test('a policy from real calls: preview, apply, Programmed, and the denied call shows up', async ({ page, signed }) => {
  // What an earlier run left would make the preview say "unchanged".
  await page.request.delete('/api/v1/resources/AuthorizationPolicy/payments/allow-currency', { headers: { 'x-csrf-token': signed.csrfToken } });
  await open(page, '/policies/new', 'New policy');
  await page.getByRole('button', { name: 'Choose payments/currency' }).click();
  const stranger = page.getByRole('group', { name: 'Calls of catalog/recommendation' });
  await expect(stranger.getByRole('checkbox').first()).not.toBeChecked();
  await expect(stranger).toContainText('not declared');
  await expect(page.getByRole('group', { name: 'Calls of orders/checkout' }).getByRole('checkbox').first()).toBeChecked();
  await page.getByRole('button', { name: 'Next: YAML and impact' }).click();

  const yaml = page.getByLabel('YAML of the policy');
  await expect(yaml).toHaveValue(/boutique\.demo\/ns\/orders\/sa\/checkout/);
  await expect(yaml).not.toHaveValue(/sa\/recommendation/);
  await expect(page.locator('[data-preview="deny"]')).not.toHaveText('0');
  await expect(page.getByRole('group', { name: 'Would be denied' })).toContainText('catalog/recommendation');
  await expect(page.getByRole('group', { name: 'Change against what is stored' })).toContainText('+kind: AuthorizationPolicy');

  const before = Date.now();
  await page.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByRole('heading', { name: `Status of ${POLICY}` })).toBeVisible();
  for (const condition of ['Accepted', 'ResolvedRefs', 'Programmed']) {
    await expect(page.locator(`[data-condition="${condition}"]`)).toHaveAttribute('data-status', 'True', { timeout: 30_000 });
  }
  await page.getByRole('link', { name: 'See the calls it denies' }).click();
  const denied = page.getByRole('row').filter({ hasText: 'catalog/recommendation' }).filter({ hasText: POLICY }).first();
  await expect(denied).toContainText('GET /currencies', { timeout: 45_000 });
  await expect(denied).toContainText('payments/currency:7000');
  const recorded = await ask(page.request, '/denies?window=5m&namespace=payments&limit=200', deniesView);
  const ours = recorded.items.filter((item) => item.policy === POLICY && Date.parse(item.at) >= before);
  expect(ours.length).toBeGreaterThan(0);
  expect(new Set(ours.map((item) => item.source.principal))).toEqual(new Set([UNDECLARED]));
});

test('the policy is deleted after a question, and the calls go through again', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, `/policies?policy=${POLICY}`, 'Policies');
  await page.getByRole('button', { name: 'Delete…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByRole('link', { name: POLICY })).toBeVisible();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await dialog.getByRole('button', { name: 'Delete the policy' }).click();
  await expect(page.getByRole('link', { name: POLICY })).toHaveCount(0);
  expect((await page.request.get(`/api/v1/resources/AuthorizationPolicy/${POLICY}`)).status()).toBe(404);
});

test('a plaintext caller is never cut off silently', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/policies/new?step=allow&ns=orders&service=checkout', 'New policy for orders/checkout');
  const legacy = page.getByRole('group', { name: /Calls of 127\.\d+\.\d+\.\d+, without identity/ }).filter({ hasText: 'billing/legacy-billing' });
  await expect(legacy).toContainText('It will be cut off by this policy.');
  await expect(page.getByText(/showed no identity/)).toBeVisible();
  await page.getByRole('button', { name: 'Next: YAML and impact' }).click();
  await expect(page.getByLabel('YAML of the policy')).not.toHaveValue(/ipBlocks/);
  await expect(page.getByRole('group', { name: 'Would be denied' })).toContainText('billing/legacy-billing');
  await page.getByRole('button', { name: '2. Callers seen, and what to allow' }).click();
  await legacy.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Next: YAML and impact' }).click();
  await expect(page.getByLabel('YAML of the policy')).toHaveValue(/ipBlocks:\s+- 127\.[\d.]+\/32/);
  await expect(page.getByText('No recorded call that is let in now would be denied.')).toBeVisible();
});

test('an unknown field is refused by name and cannot be applied', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/policies/new?step=review&ns=orders&service=shipping', 'New policy for orders/shipping');
  const yaml = page.getByLabel('YAML of the policy');
  await yaml.fill((await yaml.inputValue()).replace('spec:', 'spec:\n  selektor: {}'));
  await expect(page.getByRole('alert').filter({ hasText: 'Cannot show the impact' })).toContainText('unknown field "selektor"');
  await expect(page.getByRole('button', { name: 'Apply' })).toHaveAttribute('aria-disabled', 'true');
  await page.getByRole('button', { name: 'Follow my choices again' }).click();
  await expect(yaml).not.toHaveValue(/selektor/);
  await expect(page.getByText('Nothing is written yet.')).toBeVisible();
});
