import type { Metadata } from 'next';
import { Suspense } from 'react';
import { SignIn } from '#features/shell/SignIn.tsx';
import { LiveProvider } from '#lib/live.tsx';

export const metadata: Metadata = { title: 'Sign in' };

export default function SignInPage() {
  return (
    <LiveProvider events={false}>
      <Suspense><SignIn /></Suspense>
    </LiveProvider>
  );
}
