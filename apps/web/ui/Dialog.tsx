'use client';
import { useEffect, useId, useRef, type ReactNode } from 'react';
import { Button } from './Button.tsx';
import styles from './Dialog.module.css';

interface DialogProps {
  readonly title: string;
  readonly children: ReactNode;
  readonly confirm: string;
  readonly danger?: boolean;
  readonly busy?: boolean;
  /** Why it cannot be confirmed yet. */
  readonly whyNot?: string | null;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/** Asks before something is done. The browser's own modal dialog keeps focus inside and gives it back. */
export function Dialog({ title, children, confirm, danger = false, busy = false, whyNot = null, onConfirm, onClose }: DialogProps) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} className={styles.dialog} aria-labelledby={id} onCancel={onClose}>
      <div className={styles.inner}>
        <h2 id={id}>{title}</h2>
        {children}
        <div className={styles.actions}>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind={danger ? 'danger' : 'primary'} busy={busy} whyNot={whyNot} onPress={onConfirm}>{confirm}</Button>
        </div>
      </div>
    </dialog>
  );
}
