import { describe, expect, it } from 'vitest';
import { aMesh, aSignalInput, aWorkload, NOW } from '../../testing/index.ts';
import { telemetryLost } from './rule.ts';

const found = (lastReport: number | null, enrolledAt = 0) =>
  telemetryLost(aSignalInput({ proxies: [{ name: 'node-a', lastReport, enrolledAt }] }));

describe('telemetryLost', () => {
  it('reports a serving proxy after 15 s of silence, with since when', () => {
    expect(found(NOW - 15_000)).toEqual([]);
    const signals = found(NOW - 15_001);
    expect(signals).toMatchObject([{ key: 'telemetry-lost:node-a', severity: 'critical', count: 3, namespace: null }]);
    expect(signals[0]?.detail).toContain('no data since 2026-01-15T11:59:44.999Z');
  });

  it('waits 15 s for the first report of a new proxy, and reports one that never enrolled', () => {
    expect(found(null, NOW - 5000)).toEqual([]);
    expect(found(null, NOW - 20_000)[0]?.detail).toContain('never reported');
    expect(telemetryLost(aSignalInput({ proxies: [] }))).toHaveLength(1);
  });

  it('expects nothing of a proxy that serves nothing', () => {
    const mesh = aMesh({ workloads: [aWorkload('shop/web', { proxy: null })] });
    expect(telemetryLost(aSignalInput({ mesh, proxies: [{ name: 'node-a', lastReport: null, enrolledAt: 0 }] }))).toEqual([]);
  });
});
