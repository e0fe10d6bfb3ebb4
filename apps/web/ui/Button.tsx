'use client';
import { useId, useSyncExternalStore, type ReactNode } from 'react';
import styles from './Button.module.css';
import { cx } from './cx.ts';

interface ButtonProps {
  readonly children: ReactNode;
  readonly onPress?: () => void;
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  readonly type?: 'button' | 'submit';
  /** Why it cannot be pressed now; shown beside it. The button keeps its place in the tab order, so that the reason can be heard. */
  readonly whyNot?: string | null;
  readonly busy?: boolean;
  readonly label?: string;
  readonly pressed?: boolean;
  /** Whether what it opens is open, and the id of that. */
  readonly expanded?: boolean;
  readonly controls?: string;
}

const never = () => () => undefined;

/** False while the page is only the server's HTML, in which a press would be lost, or submit a form to nobody. */
function useHydrated(): boolean {
  return useSyncExternalStore(never, () => true, () => false);
}

export function Button({ children, onPress, kind = 'plain', type = 'button', whyNot = null, busy = false, label, pressed, expanded, controls }: ButtonProps) {
  const id = useId();
  const off = whyNot !== null || busy;
  const hydrated = useHydrated();
  const button = (
    <button
      type={type}
      disabled={!hydrated}
      className={cx(styles.button, kind !== 'plain' && styles[kind], off && styles.off)}
      aria-disabled={off || undefined}
      aria-busy={busy || undefined}
      aria-describedby={whyNot === null ? undefined : id}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-controls={controls}
      onClick={(event) => {
        if (off) event.preventDefault();
        else onPress?.();
      }}
    >
      {children}
    </button>
  );
  if (whyNot === null) return button;
  return (
    <span className={styles.holder}>
      {button}
      <span id={id} className={styles.why}>{whyNot}</span>
    </span>
  );
}

/** The class names of a button, for a link that looks like one. */
export function buttonClass(kind: 'plain' | 'primary' = 'plain'): string {
  return cx(styles.button, kind !== 'plain' && styles[kind]);
}
