import { describe, expect, it } from 'vitest';
import { bytes, clock, count, duration, percent, plural, sentence, shortIdentity } from './format.ts';

describe('percent', () => {
  it.each([
    [0, 0, '–'],
    [0, 10, '0 %'],
    [10, 10, '100 %'],
    [82, 100, '82 %'],
    [1, 3, '33 %'],
    [1, 1_000_000, '< 0.1 %'],
    [5, 1000, '0.5 %'],
  ])('%d of %d is %s', (part, whole, text) => expect(percent(part, whole)).toBe(text));

  it('never rounds up to the whole', () => {
    expect(percent(999_999, 1_000_000)).toBe('99.9 %');
    expect(percent(995, 1000)).toBe('99.5 %');
  });
});

describe('duration', () => {
  it.each([
    [-5, '0 s'],
    [999, '0 s'],
    [45_000, '45 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
  ])('%d ms is %s', (milliseconds, text) => expect(duration(milliseconds)).toBe(text));
});

describe('clock', () => {
  const at = new Date(2026, 0, 15, 14, 3, 9).getTime();
  it('is the time alone today, and has the date in front on another day', () => {
    expect(clock(at, at + 1000)).toBe('14:03:09');
    expect(clock(at, at + 86_400_000)).toBe('2026-01-15 14:03:09');
  });
});

describe('words', () => {
  it('counts', () => {
    expect(count(12_345)).toBe('12,345');
    expect(plural(1, 'call')).toBe('1 call');
    expect(plural(2, 'policy', 'policies')).toBe('2 policies');
    expect([bytes(812), bytes(4100), bytes(2_300_000)]).toEqual(['812 B', '4.1 kB', '2.3 MB']);
  });

  it('makes sentences of log words and leaves sentences alone', () => {
    expect(sentence('name or password is wrong')).toBe('Name or password is wrong.');
    expect(sentence('Try again!')).toBe('Try again!');
    expect(sentence('')).toBe('');
  });

  it('shortens identities of service accounts, and keeps the path of others', () => {
    expect(shortIdentity('spiffe://shop/ns/orders/sa/checkout')).toBe('orders/checkout');
    expect(shortIdentity('spiffe://shop/sallyport/proxy/node-a')).toBe('sallyport/proxy/node-a');
  });
});
