import type { Metadata } from 'next';
import { GraphPage } from '#features/graph/GraphPage.tsx';

export const metadata: Metadata = { title: 'Traffic graph' };

export default function Page() {
  return <GraphPage />;
}
