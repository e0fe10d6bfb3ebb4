/** Something that must not wait for ever. */
export interface Ticking {
  /** About a second went by. */
  elapsed(): void;
}

/** One timer for all connections: a timer for each would be moved with every byte. */
const ticking = new Set<Ticking>();
let clock: NodeJS.Timeout | null = null;

export function follow(each: Ticking): void {
  ticking.add(each);
  clock ??= setInterval(() => {
    for (const one of ticking) one.elapsed();
  }, 1000).unref();
}

export function forget(each: Ticking): void {
  ticking.delete(each);
  if (ticking.size > 0 || clock === null) return;
  clearInterval(clock);
  clock = null;
}
