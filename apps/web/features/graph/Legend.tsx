import styles from './Graph.module.css';

const LINES: readonly { readonly name: string; readonly colour: string; readonly dash?: string; readonly stopped?: boolean }[] = [
  { name: 'expected', colour: 'var(--muted)' },
  { name: 'undeclared', colour: 'var(--warn)', dash: '7 4' },
  { name: 'denied ✕', colour: 'var(--bad)', stopped: true },
  { name: 'failed ✕, denied by nobody', colour: 'var(--idle)', stopped: true },
  { name: 'unused', colour: 'var(--idle)', dash: '1.5 3' },
];

export function Legend() {
  return (
    <ul className={styles.legend} aria-label="Legend">
      {LINES.map((line) => (
        <li key={line.name}>
          <svg viewBox="0 0 34 12" aria-hidden="true">
            <line x1="0" y1="6" x2="30" y2="6" stroke={line.colour} strokeWidth="2" strokeDasharray={line.dash} />
            {line.stopped ? <line x1="30" y1="1" x2="30" y2="11" stroke={line.colour} strokeWidth="2.5" /> : <path d="M28 2l6 4-6 4z" fill={line.colour} />}
          </svg>
          {line.name}
        </li>
      ))}
      <li>
        <svg viewBox="0 0 34 12" aria-hidden="true"><g transform="translate(17 7)" stroke="var(--ok)" fill="var(--ok)"><rect x="-4.5" y="-1" width="9" height="5.5" /><path d="M-2.7 -1.5a2.7 2.7 0 0 1 5.4 0" fill="none" strokeWidth="1.5" /></g></svg>
        every call mutual TLS; without it the edge has the figure
      </li>
      <li>
        <svg viewBox="0 0 34 12" aria-hidden="true"><rect x="1" y="1" width="32" height="10" rx="2" fill="none" stroke="var(--idle)" strokeDasharray="3 2" /><path d="M6 11l6-10M14 11l6-10M22 11l6-10" stroke="var(--line-strong)" /></svg>
        no live report, or outside the mesh
      </li>
    </ul>
  );
}
