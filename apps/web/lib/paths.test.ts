import { describe, expect, it } from 'vitest';
import { apiPaths, ownPath, pages } from './paths.ts';

describe('paths', () => {
  it('escape what they are given', () => {
    expect(pages.namespace('a/b?c', { tab: 'strict' })).toBe('/namespaces/a%2Fb%3Fc?tab=strict');
    expect(apiPaths.resource('AuthorizationPolicy', 'shop', '../x')).toBe('/resources/AuthorizationPolicy/shop/..%2Fx');
    expect(apiPaths.callers('shop', 'a&b', '15m')).toBe('/callers?namespace=shop&service=a%26b&window=15m');
  });

  it('leave out what is empty', () => {
    expect(pages.graph({ namespace: '', node: undefined })).toBe('/graph');
    expect(apiPaths.graph('1h')).toBe('/graph?window=1h');
  });

  it('follow a link only to this console', () => {
    expect(ownPath('/signals?tab=denies')).toBe('/signals?tab=denies');
    for (const link of ['https://example.org/', '//example.org/x', '/\\example.org', 'javascript:alert(1)', '']) expect(ownPath(link)).toBe('/');
  });
});
