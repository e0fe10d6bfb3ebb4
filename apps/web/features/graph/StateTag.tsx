import { Tag, type Tone } from '#ui/Tag.tsx';
import { STATE_MEANS, type EdgeState } from './model.ts';

const LOOK: Readonly<Record<EdgeState, { tone: Tone; mark: string }>> = {
  expected: { tone: 'info', mark: '—' },
  undeclared: { tone: 'warn', mark: '╌' },
  denied: { tone: 'bad', mark: '✕' },
  unused: { tone: 'idle', mark: '┈' },
};

export function StateTag({ state }: { state: EdgeState }) {
  return <span title={STATE_MEANS[state]}><Tag tone={LOOK[state].tone} mark={LOOK[state].mark}>{state}</Tag></span>;
}
