'use client';
import { clock, duration } from '#lib/format.ts';
import { useNow } from '#lib/live.tsx';

/** How long ago an instant was, with its wall-clock time; `never` for none. */
export function Ago({ at, never = 'never' }: { at: string | null; never?: string }) {
  const now = useNow();
  if (at === null) return <span className="muted">{never}</span>;
  if (now === null) return <time dateTime={at}>…</time>;
  const age = now - Date.parse(at);
  return (
    <time dateTime={at} title={clock(at, 0)}>
      {age < 0 ? `in ${duration(-age)}` : age < 1_000 ? 'now' : `${duration(age)} ago`}
    </time>
  );
}

/** The wall-clock time of an instant, `14:03:09`. */
export function At({ at }: { at: string }) {
  const now = useNow();
  return <time dateTime={at} title={at} style={{ whiteSpace: 'nowrap' }}>{now === null ? '…' : clock(at, now)}</time>;
}

/** A text of the operator with its instants as wall-clock times of the reader's zone. */
export function WithTimes({ text }: { text: string }) {
  const now = useNow();
  const shown = now === null ? text : text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (instant) => clock(instant, now));
  return <span className="wrap">{shown}</span>;
}
