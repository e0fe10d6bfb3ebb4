import { z } from 'zod';

/** KEP-753: on by default from 1.29 on. */
const SINCE = { major: 1, minor: 29 };
/** version.Info of `/version`; some providers write `29+`. */
const versionInfo = z.looseObject({ major: z.string().regex(/^\d+/, 'must begin with a number'), minor: z.string().regex(/^\d+/, 'must begin with a number') });

/** Whether an API server of this version has native sidecars. @throws z.ZodError for what is no version */
export function hasNativeSidecars(version: unknown): boolean {
  const { major, minor } = versionInfo.parse(version);
  const [one, two] = [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
  return one > SINCE.major || (one === SINCE.major && two >= SINCE.minor);
}
