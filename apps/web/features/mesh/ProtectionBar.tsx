import type { Calls } from '#lib/protection.ts';
import { protectionOf } from '#lib/protection.ts';
import { Bar } from '#ui/Bar.tsx';

/** Shares of mutual TLS, plaintext and unknown as one bar; plaintext and unknown are also told apart by pattern. `stale`: see `protectionOf`. */
export function ProtectionBar({ calls, stale }: { calls: Calls; stale: boolean }) {
  const whole = calls.mutual + calls.plaintext + calls.unknown;
  return (
    <Bar
      whole={whole}
      label={protectionOf(calls, stale).label}
      parts={[
        // Never green while somebody who should have reported was silent.
        { name: 'mutual', value: calls.mutual, tone: stale ? 'info' : 'ok' },
        { name: 'plaintext', value: calls.plaintext, tone: 'bad' },
        { name: 'unknown', value: calls.unknown, tone: 'idle' },
      ]}
    />
  );
}
