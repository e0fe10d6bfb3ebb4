import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import styles from './Tag.module.css';

export type Tone = 'ok' | 'warn' | 'bad' | 'idle' | 'info';
/** A mark beside each colour: meaning never hangs on colour alone. */
const MARK: Readonly<Record<Tone, string>> = { ok: '✓', warn: '!', bad: '✕', idle: '?', info: '' };

export function Tag({ tone, children, mark }: { tone: Tone; children: ReactNode; mark?: string }) {
  const shown = mark ?? MARK[tone];
  return (
    <span className={cx(styles.tag, styles[tone])} {...(shown === '' ? {} : { 'data-mark': shown })}>
      {children}
    </span>
  );
}
