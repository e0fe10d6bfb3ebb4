import { redirect } from 'next/navigation';
import { Suspense, type ReactNode } from 'react';
import { Shell } from '#features/shell/Shell.tsx';
import { LiveProvider } from '#lib/live.tsx';
import { pages } from '#lib/paths.ts';
import { readSession } from '#lib/serverSession.ts';
import { SessionProvider } from '#lib/session.tsx';

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  const session = await readSession();
  if (session === 'ended') redirect(`${pages.signIn()}?reason=ended`);
  return (
    <SessionProvider session={session === 'unreachable' ? null : session}>
      <LiveProvider>
        <Suspense><Shell>{children}</Shell></Suspense>
      </LiveProvider>
    </SessionProvider>
  );
}
