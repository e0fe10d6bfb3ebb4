const NUMBER = new Intl.NumberFormat('en-GB');

/** A count with thousands separators: `12,345`. */
export function count(value: number): string {
  return NUMBER.format(value);
}

/** `1 call`, `2 calls`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/**
 * A share as a percentage that never flatters: only the whole reads `100 %` and only nothing reads `0 %`; between them
 * it is cut, not rounded, to one decimal above 99 and below 1 and rounded to whole percents elsewhere.
 *
 * @returns `–` when there is no whole to be a share of
 */
export function percent(part: number, whole: number): string {
  if (!(whole > 0)) return '–';
  if (part >= whole) return '100 %';
  if (part <= 0) return '0 %';
  const exact = (part / whole) * 100;
  if (exact < 0.1) return '< 0.1 %';
  if (exact < 1 || exact > 99) return `${(Math.floor(exact * 10) / 10).toFixed(1)} %`;
  return `${Math.round(exact)} %`;
}

/** A duration in its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const pairs: readonly [number, string, number, string][] = [
    [86_400, 'd', 3_600, 'h'],
    [3_600, 'h', 60, 'min'],
    [60, 'min', 1, 's'],
  ];
  const [large, largeName, small, smallName] = pairs.find(([size]) => seconds >= size) ?? [60, 'min', 1, 's'];
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`;
}

/** Wall clock of an instant in the reader's zone, `14:03:09`, with the date in front when it is not today's. */
export function clock(instant: string | number, now: number): string {
  const at = new Date(instant);
  const time = at.toLocaleTimeString('en-GB', { hour12: false });
  return at.toDateString() === new Date(now).toDateString() ? time : `${at.toLocaleDateString('sv-SE')} ${time}`;
}

/** A size in bytes for people: `812 B`, `4.1 kB`, `2.3 MB`. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  return value < 1_000_000 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1_000_000).toFixed(1)} MB`;
}

/** A message of the API as a sentence: it writes them as parts of log lines, without capital and full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…:]$/.test(trimmed) ? '' : '.');
}

/** The part of a SPIFFE ID that tells identities of one trust domain apart: `orders/checkout`, or its path. */
export function shortIdentity(spiffeId: string): string {
  const account = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(spiffeId);
  return account ? `${account[1]}/${account[2]}` : spiffeId.replace(/^spiffe:\/\/[^/]+\//, '');
}
