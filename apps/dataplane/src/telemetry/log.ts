import { pino, type Logger } from 'pino';

/** What the rooms log through: JSON lines on standard output. Never a key, a token or a whole URL. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child' | 'isLevelEnabled'>;

/** The process log, with the proxy's name on every line. */
export function createLog(proxy: string, level: string): Logger {
  return pino({ level, base: { proxy }, timestamp: pino.stdTimeFunctions.isoTime });
}
