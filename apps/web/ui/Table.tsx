import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import { SCROLL_BOX } from './scrollBox.ts';
import styles from './Table.module.css';

interface Column<Row> {
  readonly name: string;
  readonly render: (row: Row) => ReactNode;
  readonly right?: boolean;
  /** This column names the row. */
  readonly rowHead?: boolean;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly captionHidden?: boolean;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row, index: number) => string;
  /** What an empty table means, in words: never just nothing. */
  readonly empty: ReactNode;
  readonly selected?: string;
}

export function Table<Row>({ caption, captionHidden = true, columns, rows, rowKey, empty, selected }: TableProps<Row>) {
  if (rows.length === 0) return <div className={styles.empty}>{empty}</div>;
  return (
    <div className={styles.box} aria-label={caption} {...SCROLL_BOX}>
      <table className={styles.table}>
        <caption className={captionHidden ? 'visually-hidden' : styles.caption}>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={cx(column.right && styles.right)}>{column.name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => {
            const key = rowKey(row, index);
            return (
              <tr key={key} data-key={key} data-selected={selected === key || undefined}>
                {columns.map((column) =>
                  column.rowHead ? (
                    <th key={column.name} scope="row">{column.render(row)}</th>
                  ) : (
                    <td key={column.name} className={cx(column.right && styles.right)}>{column.render(row)}</td>
                  ),
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
