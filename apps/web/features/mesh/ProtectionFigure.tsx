import type { Protection } from '#lib/protection.ts';
import { cx } from '#ui/cx.ts';
import styles from './ProtectionFigure.module.css';

/**
 * The honest lock: a closed padlock only when every call was mutual TLS and nobody was silent; else the figure, with an
 * open padlock for plaintext and a question mark for what is not known.
 */
export function ProtectionFigure({ protection, wrapping = false }: { protection: Protection; wrapping?: boolean }) {
  return (
    <span className={cx(styles.figure, styles[protection.state], wrapping && styles.wrapping)}>
      <Glyph state={protection.state} />
      {protection.label}
    </span>
  );
}

function Glyph({ state }: { state: Protection['state'] }) {
  if (state === 'unknown') return <span aria-hidden="true">?</span>;
  return (
    <svg viewBox="0 0 14 14" fill="none" stroke="currentColor" strokeWidth="1.6" aria-hidden="true">
      {state === 'locked' ? (
        <>
          <rect x="2.5" y="6.5" width="9" height="6" rx="1" fill="currentColor" />
          <path d="M4.5 6.5V4.4a2.5 2.5 0 0 1 5 0v2.1" />
        </>
      ) : (
        <>
          <rect x="2.5" y="6.5" width="9" height="6" rx="1" />
          <path d="M4.5 6.5V4.4a2.5 2.5 0 0 1 4.7-1.2" />
        </>
      )}
    </svg>
  );
}
