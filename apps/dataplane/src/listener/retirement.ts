const MAX_AGE_MS = 3_600_000;

/** When a connection whose peer is verified now has lived long enough, in ms since the epoch: peers are verified once. */
export function retirement(): number {
  return Date.now() + MAX_AGE_MS * (0.9 + Math.random() * 0.2);
}
