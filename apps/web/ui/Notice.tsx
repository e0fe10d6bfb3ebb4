import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import styles from './Notice.module.css';
import type { Tone } from './Tag.tsx';

interface NoticeProps {
  readonly tone: Tone;
  readonly title: string;
  readonly children?: ReactNode;
  /** `alert` interrupts a screen reader, `status` waits; neither: it was there from the start. */
  readonly urgency?: 'alert' | 'status';
}

export function Notice({ tone, title, children, urgency }: NoticeProps) {
  return (
    <div className={cx(styles.notice, styles[tone])} role={urgency}>
      <p className={styles.title}>{title}</p>
      {children}
    </div>
  );
}
