import { describe, expect, it } from 'vitest';
import { signal } from '../../api/index.ts';
import { aFlow, aSignalInput, denials, NOW } from '../../testing/index.ts';
import { detectSignals } from '../index.ts';
import { weakeningChange } from './rule.ts';

const change = { at: NOW - 60_000, actor: 'eve', resource: 'PeerAuthentication shop/default', detail: 'STRICT to PERMISSIVE' };

describe('weakeningChange', () => {
  it('reports each relaxing write of the last hour with who did it', () => {
    const old = { ...change, at: NOW - 3_600_000 };
    expect(weakeningChange(aSignalInput({ weakenings: [change, old] }))).toMatchObject([
      { subject: 'eve', namespace: 'shop', at: change.at, detail: 'eve changed PeerAuthentication shop/default: STRICT to PERMISSIVE' },
    ]);
  });
});

describe('detectSignals', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(detectSignals(aSignalInput({ flows: [aFlow('shop/web', 'shop/cart')] }))).toEqual([]);
  });

  it('runs every rule, with distinct keys and kinds that the contract knows', () => {
    const found = detectSignals(aSignalInput({ weakenings: [change], denies: denials(20), proxies: [] }));
    expect(found.map((item) => signal.shape.kind.parse(item.kind))).toEqual(['telemetry-lost', 'deny-burst', 'weakening-change']);
    expect(new Set(found.map((item) => item.key)).size).toBe(found.length);
  });
});
