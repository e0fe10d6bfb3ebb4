'use client';
import { sessionView } from '@sallyport/shared/api';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { apiPaths, ownPath } from '#lib/paths.ts';
import { request } from '#lib/request.ts';
import { useUrlState } from '#lib/urlState.ts';
import { Button } from '#ui/Button.tsx';
import { Input } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { BrandMark } from './BrandMark.tsx';
import styles from './SignIn.module.css';
import { FailureText } from './View.tsx';

export function SignIn() {
  const url = useUrlState();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useMutation({
    mutationFn: async () => request(apiPaths.session(), sessionView, { method: 'POST', body: { username, password } }),
    // A whole new page, so that the server reads the new session.
    onSuccess: () => window.location.assign(ownPath(url.get('next', '/'))),
  });
  const missing = username === '' || password === '' ? 'Fill in both fields.' : null;
  return (
    <main className={styles.page}>
      <div className={styles.card}>
        <div className={styles.brand}><BrandMark /><h1>Sign in to Sallyport</h1></div>
        {url.get('reason') === 'ended' && !signIn.error && <Notice tone="info" title="Your session has ended. Sign in again." />}
        {signIn.error && (
          <Notice tone="bad" urgency="alert" title="Not signed in"><FailureText error={signIn.error} /></Notice>
        )}
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            if (missing === null && !signIn.isPending) signIn.mutate();
          }}
        >
          <Input label="User name" value={username} onChange={setUsername} autoComplete="username" maxLength={64} />
          <Input label="Password" type="password" value={password} onChange={setPassword} autoComplete="current-password" />
          <Button type="submit" kind="primary" busy={signIn.isPending || signIn.isSuccess}>Sign in</Button>
        </form>
        <p className="muted">
          The demo prints its sign-in when it starts and writes it to <code>.sallyport/demo.json</code>. Nothing can be read without one.
        </p>
      </div>
    </main>
  );
}
