'use client';
import { overviewView, type OverviewView } from '@sallyport/shared/api';
import Link from 'next/link';
import { useState } from 'react';
import { useLive, useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { coverageLabel, hasGaps, protectionOf } from '#lib/protection.ts';
import { requestNothing } from '#lib/request.ts';
import { useSession } from '#lib/session.tsx';
import { Button } from '#ui/Button.tsx';
import { ProtectionFigure } from '../mesh/ProtectionFigure.tsx';
import { BrandMark } from './BrandMark.tsx';
import styles from './Shell.module.css';
import { ThemeSwitch } from './ThemeSwitch.tsx';

export function Masthead({ menuOpen, onMenu }: { menuOpen: boolean; onMenu: () => void }) {
  const overview = useView(apiPaths.overview('15m'), overviewView);
  const { paused, setPaused } = useLive();
  const old = overview.data !== undefined && overview.error !== null;
  return (
    <header className={styles.masthead}>
      <Link href={pages.overview()} prefetch={false} className={styles.brand}><BrandMark />Sallyport</Link>
      <MeshState overview={overview.data} old={old} failed={overview.error !== null} />
      <span className={styles.spring} />
      <CoverageState overview={overview.data} old={old} failed={overview.error !== null} />
      <Button kind="quiet" onPress={() => setPaused(!paused)}>
        {paused ? '▶ Paused' : '❚❚ Live, 5 s'}
        <span className="visually-hidden">: {paused ? 'resume' : 'pause'} refreshing</span>
      </Button>
      <ThemeSwitch />
      <UserMenu />
      <span className={styles.menu}><Button expanded={menuOpen} controls="navigation" onPress={onMenu}>Menu</Button></span>
    </header>
  );
}

interface StateProps {
  readonly overview: OverviewView | undefined;
  readonly old: boolean;
  readonly failed: boolean;
}

/** Trust domain and overall lock. What cannot be refreshed is unknown, whatever it was before. */
function MeshState({ overview, old, failed }: StateProps) {
  if (!overview) return <span className={styles.mesh}>{failed ? 'mesh state unknown' : '…'}</span>;
  const stale = old || hasGaps(overview.coverage);
  return (
    <span className={styles.mesh} title="Calls of the last 15 minutes, whole mesh">
      <strong>{overview.trustDomain}</strong>
      <ProtectionFigure protection={protectionOf(overview.calls, stale)} wrapping />
    </span>
  );
}

function CoverageState({ overview, old, failed }: StateProps) {
  const state = !overview || old || overview.coverage.proxiesExpected === 0 ? 'none' : hasGaps(overview.coverage) ? 'gaps' : 'live';
  const text = overview && !old ? coverageLabel(overview.coverage, overview.window) : failed ? 'unknown, the operator does not answer' : '…';
  return (
    <Link href={pages.proxies()} prefetch={false} className={styles.coverage} title="Share of the last 15 minutes for which the proxies reported">
      <span className={styles.pulse} data-state={state} />
      <span><span className="muted">Coverage</span> {text}</span>
    </Link>
  );
}

function UserMenu() {
  const session = useSession();
  const [busy, setBusy] = useState(false);
  if (session === null) return null;
  const signOut = () => {
    setBusy(true);
    requestNothing(apiPaths.session(), { method: 'DELETE', csrfToken: session.csrfToken })
      .catch(() => undefined)
      .finally(() => window.location.assign(pages.signIn()));
  };
  return (
    <span className={styles.user}>
      <span title={`Roles: ${session.user.roles.join(', ')}`}>{session.user.username}</span>
      <Button kind="quiet" busy={busy} onPress={signOut}>Sign out</Button>
    </span>
  );
}
