import { expect, it } from 'vitest';
import { pendingQuery } from './pendingQuery.ts';

it('shows what was written until the router shows it', () => {
  const pending = pendingQuery();
  expect(pending.over('/graph', '')).toBeNull();
  pending.write('/graph', '', 'states=denied');
  expect(pending.over('/graph', '')).toBe('states=denied');
  expect(pending.over('/graph', 'states=denied')).toBeNull();
});

it('keeps the last of several writes while the router passes through the earlier ones', () => {
  const pending = pendingQuery();
  pending.write('/graph', '', 'find=a');
  pending.write('/graph', '', 'find=ab');
  expect(pending.over('/graph', 'find=a')).toBe('find=ab');
  pending.write('/graph', 'find=a', '');
  expect(pending.over('/graph', 'find=ab')).toBe('');
  expect(pending.over('/graph', '')).toBeNull();
});

it('has nothing pending after a write that was taken back', () => {
  const pending = pendingQuery();
  pending.write('/graph', '', 'find=a');
  pending.write('/graph', '', '');
  expect(pending.over('/graph', '')).toBeNull();
  expect(pending.over('/graph', 'find=a')).toBeNull();
});

it('never lays a write over another page or over a later address', () => {
  const pending = pendingQuery();
  pending.write('/graph', '', 'find=a');
  expect(pending.over('/policies', '')).toBeNull();
  expect(pending.over('/graph', 'find=typed-by-hand')).toBeNull();
  pending.settle('/graph', 'find=a');
  expect(pending.over('/graph', '')).toBeNull();
});

it('tells its listeners', () => {
  const pending = pendingQuery();
  let told = 0;
  const stop = pending.subscribe(() => {
    told += 1;
  });
  pending.write('/graph', '', 'find=a');
  stop();
  pending.write('/graph', '', 'find=b');
  expect(told).toBe(1);
});
