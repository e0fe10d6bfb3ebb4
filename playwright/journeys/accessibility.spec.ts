import { AxeBuilder } from '@axe-core/playwright';
import { expect, open, PAGES, test } from '../console.ts';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page passes axe in the ${colorScheme} theme`, async ({ page, signed }) => {
    test.setTimeout(300_000);
    expect(signed.csrfToken).not.toBe('');
    await page.emulateMedia({ colorScheme });
    for (const { path, heading } of PAGES) {
      await open(page, path, heading);
      const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
      expect(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`), path).toEqual([]);
    }
  });
}

test('the sign-in page passes axe', async ({ page }) => {
  await open(page, '/signin', 'Sign in to Sallyport');
  expect((await new AxeBuilder({ page }).withTags(TAGS).analyze()).violations).toEqual([]);
});

test('no page scrolls sideways at 390 pixels', async ({ page, signed }) => {
  test.setTimeout(120_000);
  expect(signed.csrfToken).not.toBe('');
  await page.setViewportSize({ width: 390, height: 844 });
  for (const { path, heading } of PAGES) {
    await open(page, path, heading);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth'), path).toBeLessThanOrEqual(0);
  }
});

test('no page breaks the content security policy or logs an error', async ({ page, signed }) => {
  test.setTimeout(120_000);
  expect(signed.csrfToken).not.toBe('');
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  for (const { path, heading } of PAGES) {
    await open(page, path, heading);
    expect(problems, path).toEqual([]);
  }
  const policy = (await page.request.get('/')).headers()['content-security-policy'] ?? '';
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe-eval');
});

test('the theme can be chosen and stays', async ({ page, signed }) => {
  expect(signed.csrfToken).not.toBe('');
  await page.emulateMedia({ colorScheme: 'light' });
  await open(page, '/proxies', 'Proxies');
  await page.getByRole('button', { name: 'Use the dark theme' }).click();
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(page.getByRole('button', { name: 'Use the light theme' })).toBeVisible();
});
