import { expect, it } from 'vitest';
import { until } from '../testing/until.ts';
import { WorkQueue } from './queue.ts';

/** A reconciler that stands until it is let go. */
function gate() {
  const runs: string[] = [];
  const open: (() => void)[] = [];
  return {
    runs,
    reconcile: (key: string) => new Promise<void>((resolve) => {
      runs.push(key);
      open.push(resolve);
    }),
    letGo: () => open.shift()?.(),
  };
}
const reached = (read: () => number, wanted: number) => until(() => Promise.resolve(read()), (value) => value >= wanted);

it('works on a key once however often it was added, and once more when it was added meanwhile', async () => {
  const { runs, reconcile, letGo } = gate();
  const queue = new WorkQueue({ reconcile, onError: () => undefined, concurrency: 4 });
  for (let i = 0; i < 5; i += 1) queue.add('a');
  expect(runs).toEqual(['a']);
  for (let i = 0; i < 5; i += 1) queue.add('a');
  expect(runs).toEqual(['a']);
  letGo();
  await reached(() => runs.length, 2);
  letGo();
  await until(() => Promise.resolve(queue.size), (size) => size === 0);
  expect(runs).toEqual(['a', 'a']);
  await queue.close();
});

it('works on no more keys at a time than it may', async () => {
  const { runs, reconcile, letGo } = gate();
  const queue = new WorkQueue({ reconcile, onError: () => undefined, concurrency: 2 });
  for (const key of ['a', 'b', 'c']) queue.add(key);
  expect(runs).toEqual(['a', 'b']);
  letGo();
  await reached(() => runs.length, 3);
  expect(runs).toEqual(['a', 'b', 'c']);
  letGo();
  letGo();
  await queue.close();
});

it('comes back to what failed, later each time, and forgets that when it works', async () => {
  const failed: string[] = [];
  let left = 3;
  const queue = new WorkQueue({
    firstRetryMs: 1,
    reconcile: () => (left-- > 0 ? Promise.reject(new Error('not yet')) : Promise.resolve()),
    onError: (key) => failed.push(key),
  });
  queue.add('a');
  await reached(() => -left, 1);
  expect(failed).toEqual(['a', 'a', 'a']);
  await queue.close();
});

it('comes back when it was asked to, at the earliest of several wishes', async () => {
  const runs: string[] = [];
  const queue = new WorkQueue({ reconcile: async (key) => (runs.push(key) < 2 ? 1 : undefined), onError: () => undefined });
  queue.addAfter('a', 3_600_000);
  queue.addAfter('a', 1);
  await reached(() => runs.length, 2);
  expect(runs).toEqual(['a', 'a']);
  await queue.close();
});

it('holds the rate: beyond the burst a key waits for a token', async () => {
  const runs: string[] = [];
  const queue = new WorkQueue({ reconcile: async (key) => void runs.push(key), onError: () => undefined, burst: 3, perSecond: 0.001, concurrency: 10 });
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  await until(() => Promise.resolve(queue.size), (size) => size === 1);
  expect(runs).toEqual(['a', 'b', 'c']);
  await queue.close();
});

it('ends after what it works on, and takes nothing more', async () => {
  const { runs, reconcile, letGo } = gate();
  const queue = new WorkQueue({ reconcile, onError: () => undefined });
  for (const key of ['a', 'b']) queue.add(key);
  let ended = false;
  const closing = queue.close().finally(() => {
    ended = true;
  });
  queue.add('c');
  await Promise.resolve();
  expect(ended).toBe(false);
  letGo();
  await closing;
  expect(runs).toEqual(['a']);
});
