/** Ports from the first to the last, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Reads `22,9000-9010`: what people write on pods and what `sallyport-redirect` is told.
 *
 * @returns ranges in order that neither overlap nor touch
 * @throws Error naming the part that is neither a port nor a range
 */
export function parsePortRanges(text: string): PortRange[] {
  if (text.trim() === '') return [];
  const ranges = text.split(',').map((part) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (!isPort(from) || !isPort(to) || from > to) throw new Error(`${JSON.stringify(part)} is neither a port nor a range of ports such as 9000-9010`);
    return { from, to };
  });
  const merged: PortRange[] = [];
  // nft refuses sets whose parts overlap.
  for (const range of ranges.sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last && range.from <= last.to + 1) merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    else merged.push(range);
  }
  return merged;
}

/** Whether a port lies in one of them. */
export function coversPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ from, to }) => from <= port && port <= to);
}

/** Whether a number can be a port. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
