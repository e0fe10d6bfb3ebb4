import { afterEach, expect, it } from 'vitest';
import { connectionAge, limitConnectionAge } from './retirement.ts';

afterEach(() => limitConnectionAge(3_600_000));

it('lets connections live for as long as is set, each a little shorter or longer', () => {
  limitConnectionAge(60_000);
  const ages = Array.from({ length: 200 }, connectionAge);
  expect(Math.min(...ages)).toBeGreaterThanOrEqual(54_000);
  expect(Math.max(...ages)).toBeLessThanOrEqual(66_000);
  expect(new Set(ages).size).toBeGreaterThan(100);
});
