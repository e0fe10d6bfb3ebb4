'use client';
import { useState, type ReactNode } from 'react';
import { Masthead } from './Masthead.tsx';
import { Navigation } from './Navigation.tsx';
import styles from './Shell.module.css';

/** The frame of every page behind the sign-in. */
export function Shell({ children }: { children: ReactNode }) {
  const [menuOpen, setMenuOpen] = useState(false);
  return (
    <>
      <a href="#main" className={styles.skip}>Skip to the content</a>
      <Masthead menuOpen={menuOpen} onMenu={() => setMenuOpen(!menuOpen)} />
      <div className={styles.frame}>
        <Navigation open={menuOpen} onLeave={() => setMenuOpen(false)} />
        <main id="main" tabIndex={-1} className={styles.main}>
          <div className="stack">{children}</div>
        </main>
      </div>
    </>
  );
}
