import styles from './Code.module.css';
import { cx } from './cx.ts';
import { SCROLL_BOX } from './scrollBox.ts';

export function Code({ label, text }: { label: string; text: string }) {
  return <pre className={styles.code} aria-label={label} {...SCROLL_BOX}>{text}</pre>;
}

/** A unified diff. Each line keeps its sign, so that colour only repeats what the text says. */
export function Diff({ label, text }: { label: string; text: string }) {
  const lines = text.replace(/\n$/, '').split('\n').map((line, index) => ({ line, key: `${index} ${line}` }));
  return (
    <pre className={styles.code} aria-label={label} {...SCROLL_BOX}>
      {lines.map(({ line, key }) => <span key={key} className={cx(styles.line, lineClass(line))}>{line}</span>)}
    </pre>
  );
}

function lineClass(line: string): string | undefined {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) return styles.hunk;
  if (line.startsWith('+')) return styles.added;
  return line.startsWith('-') ? styles.removed : undefined;
}
