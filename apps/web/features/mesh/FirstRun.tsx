'use client';
import Link from 'next/link';
import { useState, useSyncExternalStore } from 'react';
import { pages } from '#lib/paths.ts';
import { Button } from '#ui/Button.tsx';
import styles from './FirstRun.module.css';

const KEY = 'sallyport.first-run.dismissed';

const USES: readonly { readonly name: string; readonly path: string; readonly text: string }[] = [
  {
    name: 'See who calls whom',
    path: pages.graph(),
    text: 'The graph sets what the proxies reported against what you declared: solid was expected, dashed was not, red was refused, dotted was never used. A lock means every call was mutual TLS; anything less is a figure.',
  },
  {
    name: 'Write a policy from real calls',
    path: pages.newPolicy(),
    text: 'Pick a service, tick the callers you want, and see what would have been denied before you apply it. Then watch it reach every proxy.',
  },
  {
    name: 'Step a namespace to strict',
    path: pages.namespaces(),
    text: 'The gate names each caller that still speaks plaintext and refuses until the window is clean. The step goes in stages and rolls itself back when callers are refused.',
  },
  {
    name: 'Hand over evidence',
    path: pages.evidence(),
    text: 'Export a signed bundle for a range of time that an auditor can check with openssl alone.',
  },
];

function readDismissed(): boolean {
  return window.localStorage.getItem(KEY) === 'yes';
}

/** What you are looking at and what to try, in a minute. Stays away once dismissed and comes back from the overview. */
export function FirstRun() {
  const stored = useSyncExternalStore(() => () => undefined, readDismissed, () => null);
  const [choice, setChoice] = useState<boolean | null>(null);
  const dismissed = choice ?? stored;
  const set = (value: boolean) => {
    window.localStorage.setItem(KEY, value ? 'yes' : 'no');
    setChoice(value);
  };
  if (dismissed === null) return null;
  if (dismissed) {
    return <div><Button kind="quiet" onPress={() => set(false)}>What am I looking at?</Button></div>;
  }
  return (
    <section className={styles.box} aria-labelledby="first-run">
      <div className="row" style={{ justifyContent: 'space-between' }}>
        <h2 id="first-run">What you are looking at, and four things to try</h2>
        <Button kind="quiet" onPress={() => set(true)}>Got it, hide this</Button>
      </div>
      <p>
        Every figure here comes from proxies that carry your services’ calls and report what they saw. Where nobody reported, it says so:
        silence is shown as unknown, never as secure.
      </p>
      <ol className={styles.uses}>
        {USES.map((use) => (
          <li key={use.path}>
            <Link href={use.path} prefetch={false}>{use.name}</Link>
            <span className="muted">{use.text}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
