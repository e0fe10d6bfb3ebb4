let longestMs = 3_600_000;

/** Sets how long a connection may live, for those that are made from now on. One for the process: SALLYPORT_MAX_CONNECTION_AGE. */
export function limitConnectionAge(ms: number): void {
  longestMs = ms;
}

/** How long a connection that is made now may live, in ms: up to a tenth less or more, so that not all end at once. */
export function connectionAge(): number {
  return longestMs * (0.9 + Math.random() * 0.2);
}

/** When a connection whose peer is verified now has lived long enough, in ms since the epoch: peers are verified once. */
export function retirement(): number {
  return Date.now() + connectionAge();
}
