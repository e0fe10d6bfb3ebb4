import type { Metadata } from 'next';
import { NamespacePage } from '#features/namespaces/NamespacePage.tsx';

interface Props {
  readonly params: Promise<{ namespace: string }>;
}

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: decodeURIComponent((await params).namespace) };
}

export default async function Page({ params }: Props) {
  return <NamespacePage namespace={decodeURIComponent((await params).namespace)} />;
}
