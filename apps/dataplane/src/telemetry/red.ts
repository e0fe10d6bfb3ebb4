import { type Exposition, labelText } from './exposition.ts';
import type { CallMeter, FlowAmounts, FlowFacts } from './series.ts';

/** What stands for everything that has no series of its own. */
const OTHER = '{other}';
/** From a hop on one machine to a slow report. Seconds. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];

/** Requests, errors and durations of calls with the same labels. */
class RedSeries implements CallMeter {
  readonly labels: string;
  /** By class of the answer's status; the first is for calls that had none. */
  readonly #answers = new Float64Array(CLASSES.length);
  readonly #buckets = new Float64Array(BUCKETS.length + 1);
  #seconds = 0;
  #measured = false;

  constructor(labels: string) {
    this.labels = labels;
  }

  count(calls: number, status: number): void {
    const index = status >= 100 && status <= 599 ? Math.floor(status / 100) : 0;
    this.#answers[index] = (this.#answers[index] ?? 0) + calls;
  }

  /** All that was counted. */
  get calls(): number {
    return this.#answers.reduce((sum, count) => sum + count, 0);
  }

  observe(milliseconds: number): void {
    const seconds = milliseconds / 1000;
    let index = 0;
    while (index < BUCKETS.length && seconds > (BUCKETS[index] ?? 0)) index += 1;
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#seconds += seconds;
    this.#measured = true;
  }

  writeCounts(name: string, to: Exposition): void {
    for (const [index, code] of CLASSES.entries()) {
      const count = this.#answers[index] ?? 0;
      if (count > 0) to.sample(name, `${this.labels},code_class="${code}"`, count);
    }
  }

  writeDurations(name: string, to: Exposition): void {
    if (!this.#measured) return;
    let sum = 0;
    for (const [index, bound] of BUCKETS.entries()) {
      sum += this.#buckets[index] ?? 0;
      to.sample(`${name}_bucket`, `${this.labels},le="${bound}"`, sum);
    }
    sum += this.#buckets[BUCKETS.length] ?? 0;
    to.sample(`${name}_bucket`, `${this.labels},le="+Inf"`, sum);
    to.sample(`${name}_sum`, this.labels, this.#seconds);
    to.sample(`${name}_count`, this.labels, sum);
  }
}

/** All RED series. At most `limit` have labels of their own; calls beyond fall together by side, protocol, mtls and verdict. */
export class RedMetrics {
  readonly #limit: number;
  readonly #series = new Map<string, RedSeries>();
  readonly #overflow = new Map<string, RedSeries>();

  constructor(limit = 1_000) {
    this.#limit = limit;
  }

  /** The series of calls with these facts. To be asked once for a kind of call and kept. */
  of(facts: FlowFacts): CallMeter {
    const labels = labelText(labelsOf(facts));
    const known = this.#series.get(labels);
    if (known) return known;
    if (this.#series.size < this.#limit) return made(this.#series, labels);
    const other = labelText(labelsOf({ ...facts, source: { principal: OTHER, ip: '' }, destination: { namespace: OTHER, workload: OTHER, service: OTHER, port: 0 }, reason: null }));
    return this.#overflow.get(other) ?? made(this.#overflow, other);
  }

  write(to: Exposition): void {
    const all = [...this.#series.values(), ...this.#overflow.values()];
    const requests = 'sallyport_proxy_requests_total';
    to.family(requests, 'counter', 'HTTP requests and TCP connections.');
    for (const series of all) series.writeCounts(requests, to);
    const durations = 'sallyport_proxy_request_duration_seconds';
    to.family(durations, 'histogram', 'Time from the head of a request to the end of its answer; of a TCP connection, its life.');
    for (const series of all) series.writeDurations(durations, to);
    to.single('sallyport_proxy_metric_series', 'gauge', 'Label sets of requests that are kept apart.', this.#series.size);
    to.single('sallyport_proxy_metric_series_limit', 'gauge', 'Label sets that are kept apart at most; calls beyond have source="{other}".', this.#limit);
    const beyond = [...this.#overflow.values()].reduce((sum, series) => sum + series.calls, 0);
    to.single('sallyport_proxy_metric_overflow_total', 'counter', 'Requests and connections under source="{other}" because the limit was reached.', beyond);
  }
}

function made(map: Map<string, RedSeries>, labels: string): RedSeries {
  const series = new RedSeries(labels);
  map.set(labels, series);
  return series;
}

function labelsOf({ side, source, destination, protocol, mtls, verdict, reason }: FlowFacts): Record<string, string> {
  const { namespace, workload, service, port } = destination;
  return { side, source: source.principal ?? '', namespace, workload: workload ?? '', service: service ?? '', port: String(port), protocol, mtls, verdict, reason: reason ?? '' };
}

/** Body bytes by side. */
export class ByteCounts {
  readonly #received = { inbound: 0, outbound: 0 };
  readonly #sent = { inbound: 0, outbound: 0 };

  add(side: FlowFacts['side'], { bytesReceived, bytesSent }: Pick<FlowAmounts, 'bytesReceived' | 'bytesSent'>): void {
    this.#received[side] += bytesReceived;
    this.#sent[side] += bytesSent;
  }

  write(to: Exposition): void {
    write('sallyport_proxy_received_bytes_total', 'Body bytes from source to destination.', this.#received, to);
    write('sallyport_proxy_sent_bytes_total', 'Body bytes from destination to source.', this.#sent, to);
  }
}

function write(name: string, help: string, counts: Readonly<Record<FlowFacts['side'], number>>, to: Exposition): void {
  to.family(name, 'counter', help);
  for (const [side, count] of Object.entries(counts)) to.sample(name, `side="${side}"`, count);
}
