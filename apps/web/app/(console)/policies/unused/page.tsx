import type { Metadata } from 'next';
import { UnusedPage } from '#features/policies/UnusedPage.tsx';

export const metadata: Metadata = { title: 'Unused permissions' };

export default function Page() {
  return <UnusedPage />;
}
