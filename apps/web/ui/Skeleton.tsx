import styles from './Skeleton.module.css';

const WIDTHS = ['62%', '88%', '74%', '92%', '58%', '81%'];

/** Stands in for what is loading, at about its height, so that nothing jumps when it comes. */
export function Skeleton({ lines, minHeight }: { lines: number; minHeight?: number }) {
  return (
    <output className={styles.skeleton} style={minHeight === undefined ? {} : { minHeight }} aria-busy="true">
      <span className="visually-hidden">Loading…</span>
      {Array.from({ length: lines }, (_, index) => (
        <span key={`line ${index}`} className={styles.line} style={{ width: WIDTHS[index % WIDTHS.length] }} />
      ))}
    </output>
  );
}
