import type { Metadata } from 'next';
import { ExplainPage } from '#features/policies/ExplainPage.tsx';

export const metadata: Metadata = { title: 'Explain a call' };

export default function Page() {
  return <ExplainPage />;
}
