import type { NamespaceView } from '@sallyport/shared/api';
import { Tag, type Tone } from '#ui/Tag.tsx';

const LOOK: Readonly<Record<NamespaceView['mode'], { tone: Tone; means: string }>> = {
  STRICT: { tone: 'ok', means: 'plaintext is refused on every port' },
  PERMISSIVE: { tone: 'warn', means: 'mutual TLS and plaintext are both taken' },
  DISABLE: { tone: 'bad', means: 'mutual TLS is off' },
  MIXED: { tone: 'warn', means: 'workloads or ports differ' },
};

/** The mode that is set. It says what is taken, not what was seen. */
export function ModeTag({ mode }: { mode: NamespaceView['mode'] }) {
  return <span title={LOOK[mode].means}><Tag tone={LOOK[mode].tone}>{mode}</Tag></span>;
}
