import { expect, it } from 'vitest';
import { type ParentCa, ParentError } from './parent.ts';
import { PatientParent } from './patient.ts';

it('asks a parent that gives nothing less and less often, and at once when something changed', async () => {
  let asked = 0;
  let offered = 'a';
  const inner: ParentCa = {
    kind: 'file',
    offered: () => offered,
    obtain: () => {
      asked += 1;
      return Promise.reject(new ParentError(`no ${asked}`));
    },
    close: () => undefined,
  };
  const parent = new PatientParent(inner);
  for (let now = 0; now < 120_000; now += 1_000) await expect(parent.obtain(now, 1)).rejects.toThrow(`no ${asked === 0 ? 1 : ''}`);
  // At 0, 5, 15, 35, 65 and 95 s: the wait of files ends at 30 s.
  expect(asked).toBe(6);
  offered = 'b';
  await expect(parent.obtain(120_000, 1)).rejects.toThrow('no 7');
  await expect(parent.obtain(121_000, 1)).rejects.toThrow('no 7');
  parent.again();
  await expect(parent.obtain(122_000, 1)).rejects.toThrow('no 8');
});
