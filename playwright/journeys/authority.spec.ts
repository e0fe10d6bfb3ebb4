import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { caView, certificatesView, resourceList } from '@sallyport/shared/api';
import { ask, expect, open, test } from '../console.ts';

const AUTHORITY = '/identities?tab=authority';
const HOUR = '1h';

/** Lets a published root wait for a person, or not, in the name of who owns the Mesh: a restarted demo must find its own. */
async function activation(page: Page, csrfToken: string, rootActivation: 'manual' | 'automatic'): Promise<void> {
  const { items } = await ask(page.request, '/resources/Mesh', resourceList);
  const [mesh] = items;
  expect(mesh).toBeDefined();
  const { metadata, spec } = mesh as { metadata: { name: string; managedFields: { manager: string }[] }; spec: { certificates: object } };
  const manifest = JSON.stringify({ ...mesh, metadata: { name: metadata.name }, spec: { ...spec, certificates: { ...spec.certificates, rootActivation } }, status: undefined });
  const answer = await page.request.post('/api/v1/apply', { data: { manifest, manager: metadata.managedFields[0]?.manager }, headers: { 'x-csrf-token': csrfToken } });
  expect(answer.status(), await answer.text()).toBe(200);
  await expect.poll(async () => (await ask(page.request, '/ca', caView)).lifetimes.rootActivation).toBe(rootActivation);
}

/** Presses by keyboard alone. */
async function press(page: Page, name: string, within?: 'dialog'): Promise<void> {
  const button = (within ? page.getByRole(within) : page).getByRole('button', { name, exact: true });
  await button.focus();
  await page.keyboard.press('Enter');
}

test('the inventory shows each SVID with its chain, its age and its next rotation', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, '/identities', 'Identities');
  await expect(page.getByText('Past half of the rotation interval')).toBeVisible();
  await expect(page.getByText(/about half of them past the middle of the interval is\s+normal/)).toBeVisible();
  const { items } = await ask(page.request, '/certificates', certificatesView);
  const workload = items.find((item) => item.workload !== null);
  const row = page.getByRole('row').filter({ hasText: workload?.spiffeId ?? 'none' }).first();
  await expect(row.getByRole('img', { name: /of its life has passed; it rotates at 50 %/ })).toBeVisible();
  await expect(row).toContainText(/issuing [0-9a-f]{8}/);
  await expect(row).toContainText(/under root [0-9a-f]{8}/);
});

test('every CA certificate and bundle entry is listed with its state, expiry and fingerprint', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await open(page, AUTHORITY, 'Identities');
  const { certificates, foreign } = await ask(page.request, '/ca', caView);
  const table = page.getByRole('table', { name: 'CA certificates and bundle entries' });
  await expect(table.getByRole('row')).toHaveCount(1 + certificates.length);
  for (const { subject, state, fingerprint } of certificates) {
    const row = table.getByRole('row').filter({ hasText: fingerprint });
    await expect(row.getByTitle(subject)).toBeVisible();
    await expect(row).toContainText(state);
  }
  // A demo with a partner has two of its entries at least; one without says so.
  if (foreign.length === 0) await expect(page.getByText('No bundle of another trust domain is held')).toBeVisible();
  const others = page.getByRole('table', { name: 'Entries of the bundles of other trust domains' });
  for (const { trustDomain, subject, fingerprint } of foreign) await expect(others.getByRole('row').filter({ hasText: fingerprint ?? subject })).toContainText(trustDomain);
});

test('a root is rotated by keyboard: published, acknowledged by every proxy, activated; force asks for the name', async ({ page, signed }) => {
  test.setTimeout(180_000);
  await activation(page, signed.csrfToken, 'manual');
  try {
    await open(page, AUTHORITY, 'Identities');
    await press(page, 'Rotate root…');
    await press(page, 'Rotate the root', 'dialog');
    await expect(page.getByRole('status').filter({ hasText: 'publish root' })).toBeVisible();

    const published = (await ask(page.request, '/ca', caView)).certificates.find(({ role, state }) => role === 'root' && state === 'published');
    const root = page.getByRole('region', { name: `Root ${published?.subject ?? 'none'}` });
    await expect(root.getByRole('listitem').and(page.locator('[aria-current="step"]')).first()).toContainText('published');
    await expect(root).toContainText('activate it: waits for somebody to activate it');
    const acknowledged = page.getByRole('table', { name: 'Acknowledgements of the trust bundle' });
    await expect(acknowledged.getByRole('row').filter({ hasText: 'acknowledged' }).first()).toContainText(String(published?.sequence));
    await expect(acknowledged.getByRole('row').filter({ hasText: 'lags' })).toHaveCount(0);
    // A second one on top of it is not offered, and the operator refuses it whoever asks.
    await expect(page.getByRole('button', { name: 'Rotate root…' })).toHaveAccessibleDescription(/is published already/);
    expect((await page.request.post('/api/v1/ca/rotate-root', { data: {}, headers: { 'x-csrf-token': signed.csrfToken } })).status()).toBe(412);

    await press(page, 'Activate by force…');
    const force = page.getByRole('dialog').getByRole('button', { name: 'Activate by force', exact: true });
    await expect(force).toHaveAttribute('aria-disabled', 'true');
    const { trustDomain } = await ask(page.request, '/ca', caView);
    await page.getByRole('dialog').getByLabel(`Type ${trustDomain} to go on`).fill(trustDomain);
    await expect(force).not.toHaveAttribute('aria-disabled', 'true');
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await page.keyboard.press('Escape');
    await expect(page.getByRole('dialog')).toHaveCount(0);

    await press(page, 'Activate…');
    await press(page, 'Activate it', 'dialog');
    await expect(page.getByRole('status').filter({ hasText: 'activate root' })).toBeVisible();
    await expect(root.locator('[aria-current="step"]').first()).toContainText('active');
    await expect(page.getByRole('table', { name: 'CA certificates and bundle entries' }).getByRole('row').filter({ hasText: 'old' }).first()).toBeVisible();
  } finally {
    await activation(page, signed.csrfToken, 'automatic');
  }
});

test('traffic policies and federated trust domains are listed with conditions and YAML', async ({ page, signed }) => {
  const headers = { 'x-csrf-token': signed.csrfToken };
  const manifest = `apiVersion: sallyport.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: journey, namespace: payments }
spec: { targetRefs: [{ kind: Service, name: currency }], timeouts: { request: ${HOUR} } }
---
apiVersion: sallyport.dev/v1alpha1
kind: FederatedTrustDomain
metadata: { name: journey }
spec: { trustDomain: journey.example, bundleEndpointURL: 'https://127.0.0.1:1/bundle', bundleEndpointProfile: { type: https_web } }
`;
  const applied = await page.request.post('/api/v1/apply', { data: { manifest }, headers });
  expect(applied.status(), await applied.text()).toBe(200);
  try {
    await open(page, '/policies?tab=traffic', 'Policies');
    await page.getByRole('link', { name: 'payments/journey' }).press('Enter');
    const traffic = page.getByRole('region', { name: 'TrafficPolicy payments/journey' });
    await expect(traffic.getByLabel('YAML of TrafficPolicy payments/journey')).toContainText(`request: ${HOUR}`);
    await expect(traffic.locator('[data-condition="Programmed"]')).toHaveAttribute('data-status', 'True');

    await open(page, '/policies?tab=federation&object=FederatedTrustDomain/journey', 'Policies');
    const federation = page.getByRole('region', { name: 'FederatedTrustDomain journey' });
    await expect(federation.locator('[data-condition="BundleFetched"]')).toContainText('BundleUnavailable');
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
  } finally {
    await page.request.delete('/api/v1/resources/TrafficPolicy/payments/journey', { headers });
    await page.request.delete('/api/v1/resources/FederatedTrustDomain/journey', { headers });
  }
});
