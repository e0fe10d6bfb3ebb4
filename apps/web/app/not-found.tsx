import Link from 'next/link';
import { pages } from '#lib/paths.ts';

export default function NotFound() {
  return (
    <main style={{ padding: '48px 24px' }} className="stack">
      <h1>There is no such page</h1>
      <p>The address may be mistyped or out of date. <Link href={pages.overview()} prefetch={false}>Go to the overview</Link>.</p>
    </main>
  );
}
