'use client';
import type { CoverageView, WindowView } from '@sallyport/shared/api';
import { clock, duration } from '#lib/format.ts';
import { useNow } from '#lib/live.tsx';
import { coverageLabel, hasGaps } from '#lib/protection.ts';
import { Notice } from '#ui/Notice.tsx';

interface CoverageNoteProps {
  readonly coverage: CoverageView;
  readonly window?: WindowView;
}

/** The source of the figures below it: which window, how much of it was reported, and who was silent. */
export function SourceLine({ coverage, window }: CoverageNoteProps) {
  const now = useNow();
  return (
    <p className="muted">
      Source: reports of the bundled proxies, {coverageLabel(coverage, window)}
      {window && now !== null && (
        <>
          {' '}({clock(window.from, now)} to {clock(window.to, now)}, {duration(Date.parse(window.to) - Date.parse(window.from))})
        </>
      )}
      .
    </p>
  );
}

/** Says which proxies are silent or left gaps; nothing when there are none. */
export function CoverageNotice({ coverage }: { coverage: CoverageView }) {
  const now = useNow();
  if (!hasGaps(coverage) || now === null) return null;
  if (coverage.proxiesExpected === 0) {
    return (
      <Notice tone="idle" urgency="status" title="No telemetry: no proxy is enrolled">
        <p>Nothing is known about any call. Start a proxy, or see <a href="/proxies">Proxies</a>.</p>
      </Notice>
    );
  }
  const silent = coverage.proxies.filter((proxy) => !proxy.live);
  const gappy = coverage.proxies.filter((proxy) => proxy.live && proxy.gaps.length > 0);
  return (
    <Notice
      tone={silent.length > 0 ? 'warn' : 'idle'}
      urgency="status"
      title={silent.length > 0 ? 'Some proxies are silent: what they would have seen is unknown' : 'Some reports of this window are missing'}
    >
      <ul>
        {silent.map((proxy) => (
          <li key={proxy.name}>
            {proxy.lastReport === null ? 'No data ever' : `No data since ${clock(proxy.lastReport, now)}`} from proxy <code>{proxy.name}</code>
          </li>
        ))}
        {gappy.map((proxy) => (
          <li key={proxy.name}>
            Proxy <code>{proxy.name}</code>: {proxy.gaps.slice(0, 3).map((gap) => `${clock(gap.from, now)} to ${clock(gap.to, now)}`).join(', ')}
            {proxy.gaps.length > 3 && ` and ${proxy.gaps.length - 3} more gaps`}
          </li>
        ))}
      </ul>
    </Notice>
  );
}
