'use client';
import { namespacesView } from '@sallyport/shared/api';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { Select } from '#ui/Field.tsx';

interface NamespaceSelectProps {
  readonly value: string;
  readonly onChange: (namespace: string) => void;
  /** Name of the choice that stands for no namespace in particular. */
  readonly all?: string;
}

export function NamespaceSelect({ value, onChange, all = 'all' }: NamespaceSelectProps) {
  const namespaces = useView(apiPaths.namespaces('15m'), namespacesView, { refreshMs: 30_000 });
  const names = namespaces.data?.items.map((item) => item.name) ?? [];
  const options = value === '' || names.includes(value) ? names : [value, ...names];
  return <Select label="Namespace" value={value} onChange={onChange} options={[{ value: '', name: all }, ...options.map((name) => ({ value: name, name }))]} />;
}
