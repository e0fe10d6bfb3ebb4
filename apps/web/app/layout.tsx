import type { Metadata } from 'next';
import { cookies, headers } from 'next/headers';
import type { ReactNode } from 'react';
import './globals.css';

export const metadata: Metadata = {
  title: { default: 'Sallyport', template: '%s · Sallyport' },
  description: 'Security posture of a service mesh: who calls whom, how it is protected, and what may be proved.',
};

export default async function RootLayout({ children }: { children: ReactNode }) {
  // Reading the request also keeps every page out of the build's cache: a content security policy needs a fresh nonce.
  await headers();
  const theme = (await cookies()).get('sallyport_theme')?.value;
  const known = theme === 'light' || theme === 'dark' ? { 'data-theme': theme } : {};
  return (
    <html lang="en" {...known} suppressHydrationWarning>
      <body>{children}</body>
    </html>
  );
}
