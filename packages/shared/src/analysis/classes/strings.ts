/** One value that stands for a class of values that no pattern tells apart. */
export interface Representative<V = string> {
  readonly value: V;
  /** The class in the manner of a pattern: `/a*`, `GET`, `(any other)`. */
  readonly label: string;
  /** True for a value that only makes a nicer witness or a rare combination: its label is used when there is no other. */
  readonly secondary?: boolean;
}

export const ANY_OTHER = '(any other)';
export const NONE = '(none)';

/** Values of one field, and whether they are known to be enough. */
export interface Classes<V = string> {
  readonly values: readonly Representative<V>[];
  /** False when a class could not be given a representative, or there were too many: nothing is proven then. */
  readonly complete: boolean;
}

/** Exact texts and affixes that patterns ask for at one place. */
export interface Alphabet {
  readonly exact: ReadonlySet<string>;
  readonly prefixes: ReadonlySet<string>;
  readonly suffixes: ReadonlySet<string>;
}

const READABLE = ['', 'other', 'else', 'any', 'x', 'q', 'z', '0', 'x7q', '25', '5'];
const SINGLE = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-'.split('');
const MIDDLES: readonly string[] = [...READABLE, ...SINGLE, ...SINGLE.map((character) => `${character}~${character}`)];

/**
 * A text that begins with `prefix`, ends with `suffix`, and matches nothing of the alphabet that those two do not imply.
 * Null when no middle part does it.
 */
export function between(prefix: string, suffix: string, { exact, prefixes, suffixes }: Alphabet, valid: (text: string) => boolean, { fold = false, middles = MIDDLES }: { readonly fold?: boolean; readonly middles?: readonly string[] } = {}): string | null {
  for (const middle of middles) {
    const text = `${prefix}${fold ? middle.toLowerCase() : middle}${suffix}`;
    if (text === '' || exact.has(text) || !valid(text)) continue;
    if (onlyImplied(prefixes, (each) => text.startsWith(each), (each) => prefix.startsWith(each)) && onlyImplied(suffixes, (each) => text.endsWith(each), (each) => suffix.endsWith(each))) return text;
  }
  return null;
}

function onlyImplied(affixes: ReadonlySet<string>, matches: (affix: string) => boolean, implied: (affix: string) => boolean): boolean {
  for (const affix of affixes) if (matches(affix) && !implied(affix)) return false;
  return true;
}

/** What a pair of affixes is called. */
export function affixLabel(prefix: string, suffix: string): string {
  return prefix === '' && suffix === '' ? ANY_OTHER : `${prefix}*${suffix}`;
}

interface StringOptions {
  readonly valid?: (text: string) => boolean;
  /** Values are compared in lower case. */
  readonly fold?: boolean;
  /** Texts to put between a prefix and a suffix, instead of the usual ones. */
  readonly middles?: readonly string[];
  /** Tells values apart that the patterns' own strings do not; each is added as it stands. */
  readonly extra?: readonly string[];
}

/**
 * Representatives for patterns of Istio's string match: every exact value, and every pair of a prefix and a suffix. Any
 * string that is none of the exact values has a longest matching prefix and suffix, and so belongs to their pair.
 */
export function stringClasses(patterns: Iterable<string>, { valid = () => true, fold = false, extra = [], middles }: StringOptions = {}): Classes {
  const alphabet = alphabetOf(patterns, fold);
  const values: Representative[] = [...alphabet.exact].filter(valid).map((value) => ({ value, label: value }));
  let complete = true;
  for (const prefix of ['', ...alphabet.prefixes]) {
    for (const suffix of ['', ...alphabet.suffixes]) {
      const text = between(prefix, suffix, alphabet, valid, { fold, ...(middles ? { middles } : {}) });
      if (text !== null) values.push({ value: text, label: affixLabel(prefix, suffix) });
      // A prefix or suffix that no valid value can have is no class at all.
      else if (valid(`${prefix}x${suffix}`) || (prefix === '' && suffix === '')) complete = false;
    }
  }
  values.push(...extra.map((value) => ({ value, label: value, secondary: true })));
  return { values, complete };
}

/** Sorts patterns by what they ask for. */
function alphabetOf(patterns: Iterable<string>, fold: boolean): Alphabet {
  const [exact, prefixes, suffixes] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const original of patterns) {
    const pattern = fold ? original.toLowerCase() : original;
    if (pattern === '*') continue;
    if (pattern.startsWith('*')) suffixes.add(pattern.slice(1));
    else if (pattern.endsWith('*')) prefixes.add(pattern.slice(0, -1));
    else exact.add(pattern);
  }
  return { exact, prefixes, suffixes };
}
