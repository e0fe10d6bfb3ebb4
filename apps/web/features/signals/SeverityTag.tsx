import type { SignalView } from '@sallyport/shared/api';
import { Tag, type Tone } from '#ui/Tag.tsx';

const TONE: Readonly<Record<SignalView['severity'], Tone>> = { info: 'info', warning: 'warn', critical: 'bad' };

export function SeverityTag({ severity }: { severity: SignalView['severity'] }) {
  return <Tag tone={TONE[severity]}>{severity}</Tag>;
}
