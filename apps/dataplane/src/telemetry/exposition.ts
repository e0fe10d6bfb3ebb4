/** The content type of Prometheus' text format. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

/** Labels as they stand between braces, without these; '' when there are none. */
export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

/** Prometheus' text format: "label_value can be any sequence of UTF-8 characters, but the backslash, double-quote and line feed characters have to be escaped". */
function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

/** Writes metrics in Prometheus' text format, one family after the other. */
export class Exposition {
  readonly #lines: string[] = [];

  /** Begins a family; its samples follow. */
  family(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  /** @param labels as {@link labelText} made them */
  sample(name: string, labels: string, value: number): void {
    this.#lines.push(labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`);
  }

  /** A family of one sample without labels. */
  single(name: string, type: 'counter' | 'gauge', help: string, value: number): void {
    this.family(name, type, help);
    this.sample(name, '', value);
  }

  /** The whole text. */
  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
