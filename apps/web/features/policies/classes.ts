import type { DiffView } from '@sallyport/shared/api';
import { plural } from '#lib/format.ts';
import type { Tone } from '#ui/Tag.tsx';

/** One attribute of a class of calls: `POST, PUT`, or `any but /health`. */
export function classText({ values, except, more }: DiffView['changes'][number]['where'][number]): string {
  return `${except ? 'any but ' : ''}${values.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What a comparison came to. Only a complete one proves that nothing else changes. */
export function diffSummary({ equal, complete, changes, more, modelled, workloads }: DiffView): { readonly tone: Tone; readonly title: string; readonly text: string } {
  const found = changes.length + more;
  if (equal) return { tone: 'ok', title: 'No call changes verdict', text: `Proven for every call to ${plural(workloads.compared, 'workload')} over what is modelled: ${modelled.join('; ')}.` };
  const title = found === 0 ? 'No difference was found, but not everything was compared' : `${plural(found, 'class', 'classes')} of calls ${found === 1 ? 'changes' : 'change'} verdict, on ${plural(workloads.changed, 'workload')}`;
  if (!complete) return { tone: 'warn', title, text: 'The comparison was not complete: more calls than these may change verdict.' };
  return { tone: 'info', title, text: 'Every call that changes verdict is in one of these classes, whether or not anybody made it in the window. What is not named may have any value.' };
}
