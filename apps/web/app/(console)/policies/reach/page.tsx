import type { Metadata } from 'next';
import { ReachPage } from '#features/policies/ReachPage.tsx';

export const metadata: Metadata = { title: 'Reach' };

export default function Page() {
  return <ReachPage />;
}
