'use client';
import { Button } from '#ui/Button.tsx';
import { Notice } from '#ui/Notice.tsx';

export default function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <Notice tone="bad" urgency="alert" title="This page broke">
      <p>{error.message} Nothing was changed. Try again; if it comes back, the browser console has the details.</p>
      <div><Button onPress={reset}>Try again</Button></div>
    </Notice>
  );
}
