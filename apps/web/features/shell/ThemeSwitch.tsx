'use client';
import { useSyncExternalStore } from 'react';
import { Button } from '#ui/Button.tsx';

const YEAR_S = 31_536_000;

function subscribe(listener: () => void): () => void {
  const media = window.matchMedia('(prefers-color-scheme: dark)');
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  media.addEventListener('change', listener);
  return () => {
    observer.disconnect();
    media.removeEventListener('change', listener);
  };
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset['theme'];
  return chosen ? chosen === 'dark' : window.matchMedia('(prefers-color-scheme: dark)').matches;
}

/** Whether the page is dark now: by the reader's choice, else by the system's. */
export function useDark(): boolean {
  return useSyncExternalStore(subscribe, isDark, () => false);
}

export function ThemeSwitch() {
  const dark = useDark();
  const toggle = () => {
    const theme = dark ? 'light' : 'dark';
    document.documentElement.dataset['theme'] = theme;
    // A cookie and not local storage: the server writes the choice into the first byte of the page, so nothing flashes.
    document.cookie = `sallyport_theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
  };
  return <Button kind="quiet" onPress={toggle} label={dark ? 'Use the light theme' : 'Use the dark theme'}>{dark ? '☀' : '☾'}</Button>;
}
