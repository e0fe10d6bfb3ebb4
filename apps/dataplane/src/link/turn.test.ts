import { expect, it } from 'vitest';
import { flushSoon, hasRead, type Sender } from './turn.ts';

const tick = () => new Promise<void>((resolve) => process.nextTick(resolve));
const check = () => new Promise<void>((resolve) => setImmediate(resolve));

/** More than are looked at before turns count as something else. */
const MANY = 100;

function counting(): Sender & { flushed: number } {
  return {
    flushed: 0,
    flush() {
      this.flushed += 1;
    },
  };
}

/** Turns of the event loop with so many reads each, all of which write; whether the last write left before the check phase. */
async function leavesAtOnce(turns: number, reads: number): Promise<boolean> {
  const sender = counting();
  let atOnce = false;
  for (let turn = 0; turn < turns; turn += 1) {
    await check();
    sender.flushed = 0;
    for (let read = 0; read < reads; read += 1) {
      hasRead();
      flushSoon(sender);
      await tick();
    }
    atOnce = sender.flushed > 0;
  }
  await check();
  expect(sender.flushed).toBeGreaterThan(0);
  return atOnce;
}

it('lets writes leave at once while turns have one read, and after the last of several', async () => {
  expect(await leavesAtOnce(1, 1)).toBe(true);
  expect(await leavesAtOnce(MANY, 3)).toBe(false);
  expect(await leavesAtOnce(MANY, 1)).toBe(true);
});

it('flushes who is written to by another flush in the same pass', async () => {
  const inner = counting();
  flushSoon({ flush: () => flushSoon(inner) });
  await tick();
  expect(inner.flushed).toBe(1);
  await check();
  expect(inner.flushed).toBe(1);
});
