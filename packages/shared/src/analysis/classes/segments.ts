import { affixLabel, type Alphabet, ANY_OTHER, between, type Classes, type Representative } from './strings.ts';

/** What a pattern asks of one segment between slashes. */
export type SegmentTest =
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'affix'; readonly prefix: string; readonly suffix: string; readonly nonEmpty: boolean };

/** A pattern over whole texts divided by slashes; `rest` is any number of segments, or none. */
export interface SegmentPattern {
  readonly elements: readonly (SegmentTest | 'rest')[];
  /** For people. */
  readonly label: string;
}

export const exactly = (text: string): SegmentTest => ({ kind: 'exact', text });
export const ANY_SEGMENT = { kind: 'affix', prefix: '', suffix: '', nonEmpty: false } as const;
export const SOME_SEGMENT: SegmentTest = { ...ANY_SEGMENT, nonEmpty: true };

/** Istio's string match as a pattern over segments. A bare `*` is not for here: it divides nothing that has text. */
export function stringPattern(label: string): SegmentPattern {
  if (label.startsWith('*')) {
    const [first = '', ...others] = label.slice(1).split('/');
    return { label, elements: ['rest', { ...ANY_SEGMENT, suffix: first }, ...others.map(exactly)] };
  }
  if (!label.endsWith('*')) return { label, elements: label.split('/').map(exactly) };
  const segments = label.slice(0, -1).split('/');
  return { label, elements: [...segments.slice(0, -1).map(exactly), { ...ANY_SEGMENT, prefix: segments.at(-1) ?? '' }, 'rest'] };
}

/** Which texts there are at all. */
export interface SegmentDomain {
  /** Whether a segment may stand at a place; `inner` when more follow. */
  readonly allowed: (segment: string, index: number) => boolean;
  /** True when nothing may follow this segment. */
  readonly last: (segment: string, index: number) => boolean;
  /** Whether a text as a whole is one that can be seen. */
  readonly valid: (text: string) => boolean;
}

/** States of the walk: beyond this many nothing is claimed to be complete. */
const MOST_STATES = 60_000;

interface State {
  readonly at: readonly number[];
  readonly text: string;
  readonly index: number;
}

/**
 * Representatives of all classes that the patterns divide texts into: a walk, segment by segment, over the sets of
 * patterns that are still possible. Two texts that lead to the same set are told apart by no pattern, so one text for
 * each set that can be reached is enough.
 */
export function segmentClasses(patterns: readonly SegmentPattern[], domain: SegmentDomain): Classes {
  const machine = new Machine(patterns);
  const [emitted, explored] = [new Set<string>(), new Set<string>()];
  const values: Representative[] = [];
  const queue: State[] = [{ at: machine.start, text: '', index: 0 }];
  let complete = true;
  for (let next = 0; next < queue.length; next += 1) {
    const state = queue[next];
    if (state === undefined) continue;
    const step = machine.from(state.at);
    const symbols = symbolsOf(step, state.index, domain);
    complete &&= symbols.complete;
    for (const symbol of symbols.values) {
      const found = follow(state, symbol, step);
      const key = found.at.join(',');
      if (!emitted.has(key) && domain.valid(found.text)) {
        emitted.add(key);
        values.push({ value: found.text, label: machine.label(found) });
      }
      if (explored.has(key) || domain.last(symbol.value, state.index)) continue;
      explored.add(key);
      if (queue.length < MOST_STATES) queue.push(found);
      else complete = false;
    }
  }
  return { values, complete };
}

function follow(state: State, symbol: Representative, step: Step): State {
  const slash = state.index === 0 ? '' : '/';
  return {
    at: step.to(symbol.value),
    text: `${state.text}${slash}${symbol.value}`,
    index: state.index + 1,
  };
}

/** The segments that the patterns of a state tell apart. */
function symbolsOf(step: Step, index: number, domain: SegmentDomain): Classes {
  const { alphabet } = step;
  const allowed = (text: string) => domain.allowed(text, index);
  const values: Representative[] = [...new Set([...alphabet.exact, ''])].filter(allowed).map((value) => ({ value, label: value }));
  let complete = true;
  for (const prefix of new Set(['', ...alphabet.prefixes])) {
    for (const suffix of new Set(['', ...alphabet.suffixes])) {
      const text = between(prefix, suffix, alphabet, allowed);
      if (text !== null) values.push({ value: text, label: affixLabel(prefix, suffix) });
      else if (allowed(`${prefix}x${suffix}`)) complete = false;
    }
  }
  return { values, complete };
}

/** Without what a longer prefix or suffix already says. */
function narrowest(labels: readonly string[]): string[] {
  const implied = (wide: string, narrow: string) => wide !== narrow && ((wide.endsWith('*') && narrow.startsWith(wide.slice(0, -1))) || (wide.startsWith('*') && narrow.endsWith(wide.slice(1))));
  return [...new Set(labels)].filter((label) => !labels.some((other) => implied(label, other)));
}

function push(map: Map<string, number[]>, key: string, value: number): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

interface Step {
  readonly alphabet: Alphabet;
  readonly to: (segment: string) => number[];
}

/** All patterns side by side. A position is a number: the pattern's offset plus how many of its elements are done. */
class Machine {
  readonly start: readonly number[];
  readonly #elements: (SegmentTest | 'rest' | 'end')[] = [];
  /** By the position of a pattern's end. */
  readonly #labels = new Map<number, string>();

  constructor(patterns: readonly SegmentPattern[]) {
    const starts: number[] = [];
    for (const pattern of patterns) {
      starts.push(this.#elements.length);
      this.#labels.set(this.#elements.length + pattern.elements.length, pattern.label);
      this.#elements.push(...pattern.elements, 'end');
    }
    this.start = this.#closure(starts);
  }

  /** What a set of positions is called: by the patterns that match in full. */
  label({ at, text }: State): string {
    const matching = at.flatMap((position) => (this.#elements[position] === 'end' ? [this.#labels.get(position) ?? ''] : []));
    if (matching.includes(text)) return text;
    return matching.length === 0 ? ANY_OTHER : narrowest(matching).join(' and ');
  }

  from(at: readonly number[]): Step {
    const byText = new Map<string, number[]>();
    const affixes: number[] = [];
    const [prefixes, suffixes] = [new Set<string>(), new Set<string>()];
    for (const position of at) {
      const element = this.#elements[position];
      if (element === 'rest') affixes.push(position);
      else if (element !== undefined && element !== 'end' && element.kind === 'exact') push(byText, element.text, position);
      else if (element !== undefined && element !== 'end' && element.kind === 'affix') {
        affixes.push(position);
        if (element.prefix !== '') prefixes.add(element.prefix);
        if (element.suffix !== '') suffixes.add(element.suffix);
      }
    }
    return {
      alphabet: { exact: new Set(byText.keys()), prefixes, suffixes },
      to: (segment) => this.#closure([...(byText.get(segment) ?? []).map((position) => position + 1), ...affixes.flatMap((position) => this.#after(position, segment))]),
    };
  }

  #after(position: number, segment: string): number[] {
    const element = this.#elements[position];
    if (element === 'rest') return [position];
    if (element === undefined || element === 'end' || element.kind === 'exact') return [];
    const { prefix, suffix, nonEmpty } = element;
    return segment.startsWith(prefix) && segment.endsWith(suffix) && !(nonEmpty && segment === '') ? [position + 1] : [];
  }

  /** `rest` may also be no segment at all. */
  #closure(positions: readonly number[]): number[] {
    const all = new Set<number>();
    for (let position of positions) {
      all.add(position);
      while (this.#elements[position] === 'rest') {
        position += 1;
        all.add(position);
      }
    }
    return [...all].sort((a, b) => a - b);
  }
}
