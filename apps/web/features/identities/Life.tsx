import { percent } from '#lib/format.ts';
import { Bar } from '#ui/Bar.tsx';
import type { Tone } from '#ui/Tag.tsx';

interface LifeProps {
  /** Share of the lifetime that has passed; 1 and above: expired. */
  readonly used: number;
  readonly tone: Tone;
  readonly mark: number;
  /** What happens at the mark. */
  readonly note: string;
}

/** A certificate's age as a share of its lifetime. */
export function Life({ used, tone, mark, note }: LifeProps) {
  const share = percent(used, 1);
  return (
    <div style={{ minWidth: 120 }}>
      <Bar parts={[{ name: 'passed', value: used, tone }]} whole={1} mark={mark} label={`${share} of its life has passed; ${note}`} />
      <span className="muted">{share}</span>
    </div>
  );
}
