import type { CSSProperties } from 'react';
import { cx } from './cx.ts';
import styles from './Bar.module.css';
import type { Tone } from './Tag.tsx';

interface BarProps {
  /** Parts in any unit; what they lack to `whole` stays empty. */
  readonly parts: readonly { readonly name: string; readonly value: number; readonly tone: Tone }[];
  readonly whole: number;
  /** The same in words. */
  readonly label: string;
  /** A line across it, as a share of the whole from 0 to 1. */
  readonly mark?: number;
}

/** One picture to a screen reader, named by its label; the parts say nothing alone. */
const PICTURE = { role: 'img' } as const;

export function Bar({ parts, whole, label, mark }: BarProps) {
  const style: CSSProperties & Record<'--at', string> = { '--at': `${(mark ?? 0) * 100}%` };
  return (
    <div className={cx(mark !== undefined && styles.mark)} style={style} aria-label={label} {...PICTURE} title={label}>
      <div className={styles.bar}>
        {parts.map((part) =>
          part.value > 0 && whole > 0 ? (
            <span key={part.name} className={styles[part.tone]} style={{ width: `${Math.min(100, (part.value / whole) * 100)}%` }} />
          ) : null,
        )}
      </div>
    </div>
  );
}
