import type { Logger } from 'pino';
import { Clock } from '../src/telemetry/clock.ts';
import { FlowCounter } from '../src/telemetry/flow-counter.ts';
import { Metrics } from '../src/telemetry/metrics.ts';
import { Recorder, type RecorderOptions } from '../src/telemetry/recorder.ts';

const NO_TUNNELS = { connections: 0, streams: 0 };

/** Metrics of a proxy that holds nothing. */
export function testMetrics(): Metrics {
  return new Metrics({ configAge: () => null, svids: () => [], pendingReports: () => 0, reportGaps: () => 0, intercepting: () => ({ intact: null, broken: false }), tunnels: () => ({ inbound: NO_TUNNELS, outbound: NO_TUNNELS }), more: [] });
}

/** A recorder that counts, and tells what it is told to. */
export function testRecorder(log: Logger, options: Partial<RecorderOptions> = {}): Recorder {
  return new Recorder({ counter: new FlowCounter('test'), metrics: testMetrics(), clock: new Clock(), log, accessLog: null, spans: null, traceSample: 0, ...options });
}
