/** The ranges that can be chosen with one press, in milliseconds. */
export const RANGES: readonly { readonly id: string; readonly name: string; readonly span: number }[] = [
  { id: '15m', name: 'last 15 minutes', span: 900_000 },
  { id: '1h', name: 'last hour', span: 3_600_000 },
  { id: '24h', name: 'last 24 hours', span: 86_400_000 },
  { id: '7d', name: 'last 7 days', span: 604_800_000 },
  { id: 'custom', name: 'from … to …', span: 0 },
];

const LONGEST_MS = 31 * 86_400_000;

export type Range = { readonly from: string; readonly to: string } | { readonly problem: string };

/**
 * The range [from, to) that a choice stands for, as instants in UTC.
 *
 * @param from local date and time as `<input type="datetime-local">` gives them; read only for `custom`
 * @returns the range, or why it is none
 */
export function rangeOf(choice: string, from: string, to: string, now: number): Range {
  const preset = RANGES.find((range) => range.id === choice && range.span > 0);
  if (preset) return instants(now - preset.span, now);
  const [start, end] = [Date.parse(from), Date.parse(to)];
  if (Number.isNaN(start) || Number.isNaN(end)) return { problem: 'Choose both ends of the range.' };
  if (end <= start) return { problem: 'The end must be after the beginning.' };
  if (start > now) return { problem: 'The range lies in the future: there is nothing to prove yet.' };
  if (end - start > LONGEST_MS) return { problem: 'A bundle covers at most 31 days; export the range in parts.' };
  return instants(start, end);
}

function instants(from: number, to: number): Range {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}
