import { explainView, lintView, reachView } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';

const API = 'sallyport.dev/v1alpha1';
const ROGUE = 'spiffe://boutique.demo/ns/storefront/sa/rogue';
const CURRENCY = 'payments/only-checkout';
const LINTED = 'payments/calls-nobody';

const policy = (name: string, spec: object) => JSON.stringify({ apiVersion: API, kind: 'AuthorizationPolicy', metadata: { name, namespace: 'payments' }, spec });

/** Only checkout may call currency: the call of recommendation, which nobody declared, is refused. */
const ONLY_CHECKOUT = policy('only-checkout', {
  selector: { matchLabels: { app: 'currency' } }, action: 'ALLOW',
  rules: [{ from: [{ source: { principals: ['boutique.demo/ns/orders/sa/checkout', 'boutique.demo/ns/storefront/sa/frontend'] } }] }],
});
const SELECTS_NOTHING = policy('calls-nobody', { selector: { matchLabels: { app: 'curency' } }, action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] });

test.afterEach(async ({ page, signed }) => {
  for (const id of [CURRENCY, LINTED]) await page.request.delete(`/api/v1/resources/AuthorizationPolicy/${id}`, { headers: { 'x-csrf-token': signed.csrfToken } });
});

test('a denied call of the demo is explained from its row, down to the clause', async ({ page, signed }) => {
  const headers = { 'x-csrf-token': signed.csrfToken };
  expect((await page.request.post('/api/v1/apply', { data: { manifest: ONLY_CHECKOUT }, headers })).status()).toBe(200);
  await open(page, '/signals?tab=denies&namespace=payments', 'Signals');
  const denied = page.getByRole('row').filter({ hasText: 'catalog/recommendation' }).filter({ hasText: CURRENCY }).first();
  await expect(denied).toBeVisible({ timeout: 45_000 });
  await denied.getByRole('link', { name: /^Why\?/ }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Explain a call' })).toBeVisible();
  await expect(page.getByText('When it was recorded, the proxy refused this call: no ALLOW policy matched')).toBeVisible();
  await expect(page.locator('[data-verdict="DENY"]')).toContainText('Refused with status 403');
  const decisive = page.getByRole('row').filter({ hasText: 'this decides' });
  await expect(decisive).toHaveCount(1);
  await expect(decisive).toContainText(CURRENCY);
  await expect(decisive).toContainText('not matched');
  await expect(decisive).toContainText('spiffe://boutique.demo/ns/catalog/sa/recommendation');

  // The form asks on: the same call by the caller that the policy names is let in, and the address says so.
  await page.getByLabel('Pick a caller').selectOption('orders/checkout');
  await page.getByRole('button', { name: 'Explain', exact: true }).click();
  await expect(page.locator('[data-verdict="ALLOW"]')).toContainText('Let in');
  expect(new URL(page.url()).searchParams.get('from')).toBe('orders/checkout');
  await page.reload();
  await expect(page.locator('[data-verdict="ALLOW"]')).toBeVisible();
  await page.goBack();
  await expect(page.locator('[data-verdict="DENY"]')).toBeVisible();
});

test('the rogue workload is refused by payment, and the operator says by which clause', async ({ page, signed }) => {
  const answer = await page.request.post('/api/v1/policies/explain', { data: { from: ROGUE, to: 'payments/payment', method: 'POST', path: '/charge' }, headers: { 'x-csrf-token': signed.csrfToken } });
  const told = explainView.parse(await answer.json());
  expect(told.verdict).toMatchObject({ effect: 'DENY', reason: 'policy-no-allow' });
  expect((await page.request.post('/api/v1/policies/explain', { data: { from: ROGUE, to: 'payments/payment' } })).status()).toBe(403);
  await open(page, '/policies/explain', 'Explain a call');
  await page.getByRole('button', { name: 'Explain', exact: true }).click();
  await expect(page.getByText('Say who calls: a workload, a SPIFFE ID, or plaintext.')).toBeVisible();
  await page.getByLabel('From', { exact: true }).fill(ROGUE);
  await page.getByLabel('To', { exact: true }).fill('payments/payment');
  await page.getByLabel('Method').fill('POST');
  await page.getByLabel('Path, as on the wire').fill('/charge');
  await page.keyboard.press('Enter');
  await expect(page.locator('[data-verdict="DENY"]')).toBeVisible();
  await expect(page.getByRole('row').filter({ hasText: 'this decides' })).toContainText('payments/payment-callers');
});

test('who can reach payment, and what falls with the frontend', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/namespaces/payments?tab=workloads', /payments/);
  await page.getByRole('link', { name: /^Who can reach it.*payments\/payment$/ }).click();
  const table = page.getByRole('table', { name: 'Who can reach payments/payment' });
  await expect(table.getByRole('row').filter({ hasText: 'orders/checkout' })).toContainText('payments/payment-callers, rule 0');
  const reach = await ask(page.request, '/policies/reach?to=payments/payment', reachView);
  await expect(table.getByRole('row')).toHaveCount(1 + reach.by.reduce((sum, { ways }) => sum + ways.length, 0));

  await open(page, '/identities?find=frontend', 'Identities');
  await page.getByRole('link', { name: /^If compromised.*storefront\/frontend$/ }).click();
  const hops = page.getByRole('table', { name: 'Workloads that are reached, hop by hop' });
  const payment = hops.getByRole('row').filter({ hasText: 'payments/payment-callers' });
  await expect(payment.getByRole('cell').first()).toHaveText('2');
});

test('a finding is counted in the list, told in the policy with its remedy, and goes with it', async ({ page, signed }) => {
  const headers = { 'x-csrf-token': signed.csrfToken };
  expect((await page.request.post('/api/v1/apply', { data: { manifest: SELECTS_NOTHING }, headers })).status()).toBe(200);
  await open(page, '/policies?namespace=payments', 'Policies');
  await expect(page.getByRole('tab', { name: /Findings: .*warning/ })).toBeVisible();
  await page.getByRole('link', { name: new RegExp(`^Findings of ${LINTED}:.*1 warning`) }).click();
  const findings = page.getByRole('list', { name: `Findings of ${LINTED}` });
  await expect(findings).toContainText('selects-nothing');
  await expect(findings).toContainText('Remedy:');
  await page.getByRole('tab', { name: /^Findings/ }).click();
  await expect(page.getByRole('table', { name: 'Findings over the stored policies' }).getByRole('row').filter({ hasText: LINTED }).first()).toBeVisible();
  const view = await ask(page.request, '/policies/lint', lintView);
  expect(view.counts.warn + view.counts.info + view.counts.error).toBe(view.findings.length);
});

test('the wizard shows the classes of calls that change beyond what was recorded', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/policies/new?step=review&ns=payments&service=currency', 'New policy for payments/currency');
  const beyond = page.getByRole('region', { name: 'Beyond what was recorded' });
  await expect(beyond).toContainText(/class(es)? of calls changes? verdict, on 1 workload/);
  const change = beyond.getByRole('row').filter({ hasText: 'DENY' }).first();
  await expect(change).toContainText('payments/currency');
  await change.getByRole('link', { name: /^Explain under what is stored/ }).click();
  await expect(page.locator('[data-verdict="ALLOW"]')).toBeVisible();
});
