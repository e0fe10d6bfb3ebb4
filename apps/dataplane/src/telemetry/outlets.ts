import type { ProxyConfig } from '../config.ts';
import { AccessLog } from './access-log.ts';
import { Clock } from './clock.ts';
import type { Exposition } from './exposition.ts';
import type { FlowCounter } from './flow-counter.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Recorder } from './recorder.ts';
import { SpanExporter } from './span-exporter.ts';

/** The access log and the spans, as far as they are configured: made, started and stopped together. */
export class Outlets {
  readonly #config: ProxyConfig;
  readonly #log: Log;
  readonly #clock = new Clock();
  readonly #accessLog: AccessLog | null;
  readonly #spans: SpanExporter | null;

  /** @throws Error naming the file that cannot be used */
  constructor(config: ProxyConfig, log: Log) {
    const { accessLog, accessLogSample, otlp } = config.telemetry;
    this.#config = config;
    this.#log = log;
    this.#accessLog = accessLog === 'off' ? null : new AccessLog(accessLog, accessLogSample, config.proxy, this.#clock, log);
    // Semantic conventions: service.name is what runs, service.instance.id which one of it.
    const resource = { 'service.name': 'sallyport-proxy', 'service.instance.id': config.proxy, 'sallyport.role': config.role, 'sallyport.trust_domain': config.trustDomain };
    this.#spans = otlp === null ? null : new SpanExporter(otlp, resource, this.#clock, log);
  }

  /** What has metrics of its own. */
  get written(): readonly { write(to: Exposition): void }[] {
    return [this.#accessLog, this.#spans].filter((outlet) => outlet !== null);
  }

  recorder(counter: FlowCounter, metrics: Metrics): Recorder {
    const { traceSample } = this.#config.telemetry;
    return new Recorder({ counter, metrics, clock: this.#clock, log: this.#log, accessLog: this.#accessLog, spans: this.#spans, traceSample });
  }

  start(): void {
    this.#spans?.start();
  }

  /** Opens the access log anew. */
  reopen(): void {
    this.#accessLog?.reopen();
  }

  /** Delivers what waits; gives up after `deadline` ms. */
  async stop(deadline: number): Promise<void> {
    await Promise.all([this.#accessLog?.close(deadline), this.#spans?.stop(deadline)]);
  }
}
