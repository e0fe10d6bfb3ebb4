import { expect, it } from 'vitest';
import { hasNativeSidecars } from './native.ts';

it.each([['1', '28', false], ['1', '28+', false], ['1', '29', true], ['1', '29+', true], ['1', '37', true], ['2', '0', true], ['0', '99', false]])('%s.%s has native sidecars: %s', (major, minor, native) => {
  expect(hasNativeSidecars({ major, minor, gitVersion: 'v' })).toBe(native);
});

it('takes nothing else for a version', () => {
  for (const version of [{}, { major: '', minor: '29' }, { major: 1, minor: 29 }]) expect(() => hasNativeSidecars(version)).toThrow(/major/);
});
