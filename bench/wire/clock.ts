/** The median of nanoseconds per call over rounds in which the candidates take turns. */
export function nanoseconds(candidates: Readonly<Record<string, (count: number) => void>>, count: number, rounds: number): Record<string, number> {
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  // Round 0 is for the compiler.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(candidates)) {
      const began = process.hrtime.bigint();
      run(count);
      if (round > 0) times[name]?.push(Number(process.hrtime.bigint() - began) / count);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
}

export function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
}
