'use client';
import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { pages } from '#lib/paths.ts';
import styles from './Shell.module.css';

const GROUPS: readonly { readonly name: string; readonly links: readonly (readonly [string, string])[] }[] = [
  { name: 'Mesh', links: [['Overview', pages.overview()], ['Traffic graph', pages.graph()], ['Namespaces', pages.namespaces()]] },
  { name: 'Security', links: [['Policies', pages.policies()], ['Explain a call', pages.explain()], ['Reach', pages.reach()], ['Identities', pages.identities()], ['Signals', pages.signals()]] },
  { name: 'Proof', links: [['Evidence', pages.evidence()], ['Audit log', pages.audit()], ['Proxies', pages.proxies()]] },
];

export function Navigation({ open, onLeave }: { open: boolean; onLeave: () => void }) {
  const pathname = usePathname();
  // The longest that fits: a page below another may have a link of its own.
  const current = GROUPS.flatMap((group) => group.links.map(([, path]) => path))
    .filter((path) => pathname === path || (path !== '/' && pathname.startsWith(`${path}/`)))
    .reduce((longest, path) => (path.length > longest.length ? path : longest), '');
  return (
    <nav id="navigation" aria-label="Pages" className={styles.nav} data-open={open}>
      {GROUPS.map((group) => (
        <div key={group.name}>
          <p className={styles.group} id={`nav-${group.name}`}>{group.name}</p>
          <ul aria-labelledby={`nav-${group.name}`}>
            {group.links.map(([name, path]) => (
              <li key={path}>
                <Link href={path} prefetch={false} aria-current={path === current ? 'page' : undefined} onClick={onLeave}>{name}</Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
