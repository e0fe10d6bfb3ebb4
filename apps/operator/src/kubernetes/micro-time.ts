/** meta/v1 MicroTime: RFC 3339 with microseconds. */
export function microTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000Z');
}
