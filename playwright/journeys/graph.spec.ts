import { connect } from 'node:tls';
import { graphView, namespaceDetail, type GraphView } from '@sallyport/shared/api';
import type { Page } from '@playwright/test';
import { ask, expect, open, test } from '../console.ts';

/** Opens a page of the graph, stops its refreshing, and gives back the graph that it shows. */
async function frozen(page: Page, path: string): Promise<GraphView> {
  let last: unknown = null;
  page.on('response', async (response) => {
    if (response.url().includes('/api/v1/graph') && response.ok()) last = await response.json().catch(() => last);
  });
  await open(page, path, 'Traffic graph');
  await page.getByRole('button', { name: 'pause refreshing' }).click();
  await expect(page.getByRole('button', { name: 'resume refreshing' })).toBeVisible();
  await page.waitForLoadState('networkidle');
  return graphView.parse(last);
}

/** Begins TLS with a proxy as somebody who has no certificate, and waits until the proxy ends it. */
async function knock(host: string, port: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false });
    socket.on('error', () => undefined).on('close', () => resolve()).resume();
  });
}

test.beforeEach(async ({ signed }) => {
  expect(signed.csrfToken).not.toBe('');
});

test('picture and table hold the same edges as the API', async ({ page }) => {
  const view = await frozen(page, '/graph?view=table');
  const rows = page.getByRole('group', { name: 'Edges of the traffic graph' }).locator('tbody tr');
  expect(view.edges.length).toBeGreaterThan(10);
  await expect(rows).toHaveCount(view.edges.length);
  const keys = await rows.evaluateAll((elements) => elements.map((element) => element.getAttribute('data-key')));
  const wanted = view.edges.map((edge) => `${edge.source}>${edge.target}:${edge.port}/${edge.protocol}`);
  expect(new Set(keys)).toEqual(new Set(wanted));
  await page.getByRole('button', { name: 'Picture' }).click();
  await expect(page.locator('[data-graph-edges]')).toHaveAttribute('data-graph-edges', String(view.edges.length));
  await page.getByLabel('expected', { exact: true }).uncheck();
  const rest = view.edges.filter((edge) => edge.state !== 'expected').length;
  await expect(page.locator('[data-graph-edges]')).toHaveAttribute('data-graph-edges', String(rest));
  await page.getByRole('button', { name: 'Table' }).click();
  await expect(rows).toHaveCount(rest);
});

test('the lock is shown for whole mutual TLS and a figure for anything less', async ({ page }) => {
  const view = await frozen(page, '/graph?view=table');
  const seen = view.edges.filter((edge) => edge.requests > 0);
  expect(seen.some((edge) => edge.mtls.plaintext > 0)).toBe(true);
  expect(seen.some((edge) => edge.mtls.plaintext === 0 && edge.mtls.unknown === 0 && !edge.stale)).toBe(true);
  for (const edge of seen) {
    const row = page.locator(`tr[data-key="${edge.source}>${edge.target}:${edge.port}/${edge.protocol}"]`);
    const whole = edge.mtls.mutual > 0 && edge.mtls.plaintext === 0 && edge.mtls.unknown === 0 && !edge.stale;
    if (whole) await expect(row).toContainText('100 % mTLS');
    else await expect(row).toContainText(/plaintext|unknown|reports missing/);
  }
});

test('every state that the sample shop has is told apart', async ({ page }) => {
  const view = await frozen(page, '/graph?view=table');
  const edge = (source: string, target: string) => view.edges.find((each) => each.source.endsWith(source) && each.target.endsWith(target));
  expect(edge('storefront/frontend', 'catalog/productcatalog')).toMatchObject({ state: 'expected', declared: true });
  expect(edge('catalog/recommendation', 'payments/currency')).toMatchObject({ state: 'undeclared', declared: false });
  expect(view.edges.some((each) => each.state === 'unused' && each.requests === 0)).toBe(true);
  await page.getByRole('button', { name: /edge from catalog\/recommendation to payments\/currency/ }).click();
  const side = page.getByRole('complementary', { name: 'Selection' });
  await expect(side).toContainText('undeclared');
  await expect(side).toContainText('GET /currencies');
  await expect(side).toContainText('node-b');
  await expect(page).toHaveURL(/edge=/);
  await page.reload();
  await expect(page.getByRole('complementary', { name: 'Selection' })).toContainText('undeclared');
});

test('the picture can be read by keyboard', async ({ page }) => {
  await open(page, '/graph', 'Traffic graph');
  await expect(page.locator('[data-graph-edges]')).toBeVisible();
  const picture = page.getByRole('application');
  await picture.focus();
  await picture.press('ArrowRight');
  await picture.press('ArrowRight');
  await picture.press('Enter');
  await expect(page).toHaveURL(/node=/);
  await expect(page.getByRole('complementary', { name: 'Selection' })).toBeVisible();
  await picture.focus();
  await picture.press('Escape');
  await expect(page.getByRole('complementary', { name: 'Selection' })).toHaveCount(0);
});

test('the picture can be read on a phone, and all of it can be shown', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, '/graph', 'Traffic graph');
  const picture = page.locator('[data-graph-text]');
  await expect(picture).toBeVisible();
  expect(Number(await picture.getAttribute('data-graph-text'))).toBeGreaterThanOrEqual(11);
  await page.getByRole('button', { name: 'Fit' }).click();
  await expect.poll(async () => Number(await picture.getAttribute('data-graph-text'))).toBeLessThan(11);
});

test('a peer that nobody could identify is shown as failed, in words of its own, and is neither denied by policy nor drift', async ({ page }) => {
  const { workloadList } = await ask(page.request, '/namespaces/payments', namespaceDetail);
  const fraud = workloadList.find((workload) => workload.name.startsWith('fraud'));
  const port = fraud?.ports[0]?.port ?? 0;
  for (let times = 0; times < 2; times += 1) await knock(fraud?.address ?? '', port);
  const own = async () => (await ask(page.request, '/graph?window=5m', graphView)).edges.find((edge) => edge.source.startsWith('address:') && edge.target === 'service:payments/fraud');
  await expect.poll(async () => (await own())?.failed ?? 0).toBeGreaterThanOrEqual(2);
  const edge = await own();
  expect(edge).toMatchObject({ requests: 0, denied: 0, declared: false, mtls: { mutual: 0, plaintext: 0, unknown: 0 } });
  expect(edge?.state).not.toBe('undeclared');
  await open(page, '/graph?view=table&find=fraud', 'Traffic graph');
  const row = page.locator(`tr[data-key="${edge?.source}>service:payments/fraud:${port}/${edge?.protocol}"]`);
  await expect(row).toContainText('failed');
  await expect(row).toContainText('certificate did not verify');
  await row.getByRole('button').click();
  const side = page.getByRole('complementary', { name: 'Selection' });
  await expect(side).toContainText('nothing was denied');
  await expect(side).toContainText('certificate did not verify');
});
