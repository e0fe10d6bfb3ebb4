import { setTimeout as delay } from 'node:timers/promises';

/** Reads until the value is good, for as long as a loaded machine may take. @returns the last value */
export async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const value = await read();
    if (good(value)) return value;
    await delay(100);
  }
  return read();
}
