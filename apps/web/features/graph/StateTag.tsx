import type { GraphEdge } from '@sallyport/shared/api';
import { Tag, type Tone } from '#ui/Tag.tsx';
import { isFailed, stateWords, type EdgeState } from './model.ts';

interface Look {
  readonly tone: Tone;
  readonly mark: string;
}

const LOOK: Readonly<Record<EdgeState, Look>> = {
  expected: { tone: 'info', mark: '—' },
  undeclared: { tone: 'warn', mark: '╌' },
  denied: { tone: 'bad', mark: '✕' },
  unused: { tone: 'idle', mark: '┈' },
};
const FAILED: Look = { tone: 'idle', mark: '✕' };

export function StateTag({ edge }: { edge: GraphEdge }) {
  const { name, means } = stateWords(edge);
  const { tone, mark } = isFailed(edge) ? FAILED : LOOK[edge.state];
  return <span title={means}><Tag tone={tone} mark={mark}>{name}</Tag></span>;
}
