import type { Metadata } from 'next';
import { ProxiesPage } from '#features/mesh/ProxiesPage.tsx';

export const metadata: Metadata = { title: 'Proxies' };

export default function Page() {
  return <ProxiesPage />;
}
