/** The theme's colours as values that a canvas understands. */
export interface Colours {
  readonly text: string;
  readonly muted: string;
  readonly surface: string;
  readonly raised: string;
  readonly line: string;
  readonly strong: string;
  readonly accent: string;
  readonly soft: string;
  readonly ok: string;
  readonly warn: string;
  readonly bad: string;
  readonly idle: string;
}

const TOKENS: Readonly<Record<keyof Colours, string>> = {
  text: '--text', muted: '--muted', surface: '--surface', raised: '--raised', line: '--line', strong: '--line-strong',
  accent: '--accent', soft: '--accent-soft', ok: '--ok', warn: '--warn', bad: '--bad', idle: '--idle',
};

/** Reads the design tokens as the browser resolves them for the theme in force. */
export function readColours(container: HTMLElement): Colours {
  const probe = document.createElement('span');
  container.append(probe);
  const read = (token: string): string => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const entries = Object.entries(TOKENS).map(([name, token]): [string, string] => [name, read(token)]);
  probe.remove();
  return Object.fromEntries(entries) as unknown as Colours;
}
