import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildGoProgram } from '../../../tools/go-program.ts';
import { freePort } from '../../../tools/free-port.ts';

/** One span as the Collector understood it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
}
interface Batch {
  readonly token: readonly string[] | null;
  readonly traces: { readonly resourceSpans: readonly { readonly resource: { readonly attributes: readonly Attribute[] }; readonly scopeSpans: readonly { readonly spans: readonly (Omit<ReceivedSpan, 'attributes'> & { readonly attributes: readonly Attribute[] })[] }[] }[] };
}

const plain = (attributes: readonly Attribute[]) => Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']));

/** The checker's binary, or null after it was said that nothing is checked. */
export async function telemetryCheck(): Promise<string | null> {
  const built = await buildGoProgram(join(import.meta.dirname, '../../../tools/telemetrycheck'));
  if ('path' in built) return built.path;
  if (process.env['CI'] === 'true') throw new Error(`telemetry cannot be checked: ${built.missing}`);
  console.warn(`\nSKIPPED: telemetry is not checked by Prometheus' and OpenTelemetry's own code. ${built.missing}\n`);
  return null;
}

/** What Prometheus' linter has against a text; it throws for one that its parser does not take. */
export function lintMetrics(binary: string, text: string): string[] {
  const run = spawnSync(binary, ['metrics'], { input: text, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout) as string[];
}

/** The receiver of OpenTelemetry's Collector. */
export class Collector {
  readonly spans: ReceivedSpan[] = [];
  readonly resources: Record<string, string>[] = [];
  readonly tokens: (string | undefined)[] = [];
  readonly endpoint: URL;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.endpoint = new URL(`http://127.0.0.1:${port}`);
  }

  static async start(binary: string): Promise<Collector> {
    const port = await freePort();
    const child = spawn(binary, ['otlp', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const collector = new Collector(child, port);
    const lines = createInterface(child.stdout);
    await once(lines, 'line');
    lines.on('line', (line) => collector.#take(JSON.parse(line) as Batch));
    return collector;
  }

  #take({ token, traces }: Batch): void {
    for (const { resource, scopeSpans } of traces.resourceSpans) {
      this.tokens.push(token?.[0]);
      this.resources.push(plain(resource.attributes));
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => ({ ...span, attributes: plain(span.attributes) })));
    }
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
