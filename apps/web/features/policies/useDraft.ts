'use client';
import { useState } from 'react';

/** What the author has chosen so far. It outlives a reload of the page and not the browser's tab. */
export interface Draft {
  readonly name: string;
  /** Keys of ticked calls; null until the first callers were seen, which suggest some. */
  readonly calls: readonly string[] | null;
  readonly addresses: readonly string[];
  /** The YAML as edited by hand; null while it follows the choices. */
  readonly yaml: string | null;
}

function read(key: string, fallback: Draft): Draft {
  if (typeof window === 'undefined') return fallback;
  try {
    const value: unknown = JSON.parse(window.sessionStorage.getItem(key) ?? 'null');
    return isDraft(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

function isDraft(value: unknown): value is Draft {
  if (typeof value !== 'object' || value === null) return false;
  const draft: Partial<Record<keyof Draft, unknown>> = value;
  const texts = (list: unknown) => Array.isArray(list) && list.every((item) => typeof item === 'string');
  return typeof draft.name === 'string' && (draft.calls === null || texts(draft.calls)) && texts(draft.addresses) && (draft.yaml === null || typeof draft.yaml === 'string');
}

/** The draft for one destination, and how to change a part of it. */
export function useDraft(namespace: string, service: string, name: string): [Draft, (change: Partial<Draft>) => void] {
  const key = `sallyport.draft.${namespace}/${service}`;
  const [draft, setDraft] = useState(() => read(key, { name, calls: null, addresses: [], yaml: null }));
  const change = (part: Partial<Draft>) => {
    const next = { ...draft, ...part };
    setDraft(next);
    window.sessionStorage.setItem(key, JSON.stringify(next));
  };
  return [draft, change];
}
