import { expect, test as base, type APIRequestContext, type Page } from '@playwright/test';
import { sessionView } from '@sallyport/shared/api';
import { readDemo } from './demo.ts';

/** Every page of the console, by the heading it must show. */
export const PAGES: readonly { readonly path: string; readonly heading: string | RegExp }[] = [
  { path: '/', heading: 'Overview' },
  { path: '/graph', heading: 'Traffic graph' },
  { path: '/graph?view=table', heading: 'Traffic graph' },
  { path: '/namespaces', heading: 'Namespaces' },
  { path: '/namespaces/orders', heading: /orders/ },
  { path: '/namespaces/orders?tab=strict', heading: /orders/ },
  { path: '/namespaces/orders?tab=maturity', heading: /orders/ },
  { path: '/namespaces/orders?tab=workloads', heading: /orders/ },
  { path: '/policies', heading: 'Policies' },
  { path: '/policies/new', heading: 'New policy' },
  { path: '/policies/new?step=allow&ns=orders&service=checkout', heading: 'New policy for orders/checkout' },
  { path: '/policies/new?step=review&ns=orders&service=checkout', heading: 'New policy for orders/checkout' },
  { path: '/policies?tab=authentication', heading: 'Policies' },
  { path: '/policies?tab=traffic', heading: 'Policies' },
  { path: '/policies?tab=federation', heading: 'Policies' },
  { path: '/policies?tab=findings', heading: 'Policies' },
  { path: '/policies?policy=payments/payment-callers', heading: 'Policies' },
  { path: '/policies/explain', heading: 'Explain a call' },
  { path: '/policies/explain?from=storefront/rogue&to=payments/payment&method=POST&path=/charge&was=policy-no-allow&host=x', heading: 'Explain a call' },
  { path: '/policies/reach', heading: 'Reach' },
  { path: '/policies/reach?to=payments/payment', heading: 'Reach' },
  { path: '/policies/reach?tab=from&from=storefront/frontend', heading: 'Reach' },
  { path: '/policies/unused', heading: 'Unused permissions' },
  { path: '/identities', heading: 'Identities' },
  { path: '/identities?tab=authority', heading: 'Identities' },
  { path: '/signals', heading: 'Signals' },
  { path: '/signals?tab=denies', heading: 'Signals' },
  { path: '/evidence', heading: 'Evidence' },
  { path: '/proxies', heading: 'Proxies' },
  { path: '/audit', heading: 'Audit log' },
];

interface Signed {
  /** The session's CSRF token, for writes past the page. */
  readonly csrfToken: string;
}

/** Tests whose page is signed in; one sign-in for each, through the same route as the form. */
export const test = base.extend<{ signed: Signed }>({
  signed: async ({ page }, use) => {
    const { username, password } = readDemo();
    const answer = await page.request.post('/api/v1/session', { data: { username, password } });
    expect(answer.status()).toBe(200);
    await use({ csrfToken: sessionView.parse(await answer.json()).csrfToken });
  },
});

/** Opens a page and waits until nothing on it is loading. */
export async function open(page: Page, path: string, heading: string | RegExp): Promise<void> {
  await page.goto(path);
  await expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible();
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
}

/** Asks the API as the signed-in page, and checks the answer against the contract. */
export async function ask<T>(request: APIRequestContext, path: string, schema: { parse: (value: unknown) => T }): Promise<T> {
  const answer = await request.get(`/api/v1${path}`);
  expect(answer.status(), path).toBe(200);
  return schema.parse(await answer.json());
}

export { expect };
