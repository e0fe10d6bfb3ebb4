import { expect, PAGES, test } from '../console.ts';
import { readDemo } from '../demo.ts';

const API = ['/session', '/overview', '/graph', '/namespaces', '/namespaces/orders', '/callers?namespace=orders&service=checkout', '/resources/AuthorizationPolicy', '/certificates', '/signals', '/denies', '/proxies', '/audit', '/evidence', '/evidence/key', '/events'];

test('no page and no data without signing in', async ({ page, request }) => {
  for (const { path } of PAGES) {
    await page.goto(path);
    expect(new URL(page.url()).pathname, path).toBe('/signin');
  }
  for (const path of API) {
    const answer = await request.get(`/api/v1${path}`);
    expect(answer.status(), path).toBe(401);
    expect(await answer.json()).toMatchObject({ error: { code: 'unauthenticated' } });
  }
});

test('a made-up session cookie opens nothing', async ({ page, context, baseURL }) => {
  await context.addCookies([{ name: 'sallyport_session', value: 'made-up', url: baseURL ?? '' }]);
  await page.goto('/graph');
  await expect(page.getByRole('heading', { name: 'Sign in to Sallyport' })).toBeVisible();
});

test('the form refuses a wrong password, leads back to the page, and signs out for good', async ({ page }) => {
  const { username, password } = readDemo();
  await page.goto('/proxies');
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'Not signed in' })).toBeVisible();
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Proxies' })).toBeVisible();
  const cookie = (await page.context().cookies()).find(({ name }) => name === 'sallyport_session');
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in to Sallyport' })).toBeVisible();
  // The server forgot the session too, not only the browser.
  const old = await page.request.get('/api/v1/overview', { headers: { cookie: `sallyport_session=${cookie?.value ?? ''}` } });
  expect(old.status()).toBe(401);
});

test('writes need the session’s token and the console’s own site', async ({ page, signed }) => {
  const apply = (headers: Record<string, string>) => page.request.post('/api/v1/apply', { data: { manifest: 'x', dryRun: true }, headers });
  expect((await apply({})).status()).toBe(403);
  expect((await apply({ 'x-csrf-token': signed.csrfToken, 'sec-fetch-site': 'cross-site' })).status()).toBe(403);
  expect((await apply({ 'x-csrf-token': signed.csrfToken })).status()).toBe(400);
});

test('a body that is too large is refused with the reason', async ({ page, signed }) => {
  const answer = await page.request.post('/api/v1/apply', { data: { manifest: 'x'.repeat(10 * 1024 * 1024) }, headers: { 'x-csrf-token': signed.csrfToken } });
  expect(answer.status()).toBe(413);
  expect(await answer.json()).toMatchObject({ error: { code: 'too-large' } });
});
